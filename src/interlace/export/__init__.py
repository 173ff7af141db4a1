"""Networks as files of standard operations, which other programs run: ONNX, torch.export and OpenVINO."""

from __future__ import annotations

from interlace.export.graph import to_graph, why_not
from interlace.export.onnx_file import write_onnx
from interlace.export.openvino_file import write_openvino
from interlace.export.quiet import ExportError
from interlace.export.torch_file import write_torch_export
from interlace.export.wrappers import ClipGraph, StreamGraph

__all__ = [
    "ClipGraph",
    "ExportError",
    "StreamGraph",
    "to_graph",
    "why_not",
    "write_onnx",
    "write_openvino",
    "write_torch_export",
]
