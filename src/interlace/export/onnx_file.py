"""Writes .onnx: one file that onnxruntime, TensorRT, OpenVINO and others read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.export.quiet import ExportError, missing_extra, quietly
from interlace.export.torch_file import batch_axes, to_program
from interlace.export.wrappers import Graph
from interlace.files import whole_file

OPSET = 18
"""The version in which torch's translations are written, so nothing has to be converted; TensorRT (10.15: 9 to 24),
OpenVINO and onnxruntime all read it."""
LARGEST_BYTES = 2**31 - 2**20
"""A file of protocol buffers ends at 2 GB; the last part is for what is not a weight."""


def write_onnx(
    graph: Graph,
    example: tuple[Tensor, ...],
    path: str | Path,
    *,
    metadata: Mapping[str, str],
    optimize: bool = True,
) -> Path:
    """Write the graph as an .onnx file with its weights inside, which appears whole or not at all.

    Args:
        graph: :class:`interlace.export.ClipGraph` or :class:`interlace.export.StreamGraph`.
        example: its inputs, ``graph.example(image_size)``; the file takes frames of their size, and any batch.
        path: where to write.
        metadata: texts that the file keeps under their names, in its ``metadata_props``.
        optimize: have the exporter fold constants and drop what does nothing; without, it is quicker.

    Raises:
        ExportError: the extra is not installed, the weights are too large for one file, or torch cannot export the
            graph, with what it said.

    Example:
        >>> import interlace
        >>> from interlace.export import ClipGraph, write_onnx
        >>> graph = ClipGraph(interlace.create_model("tin_resnet18", num_classes=5, num_segments=4))
        >>> write_onnx(graph, graph.example(224), "model.onnx", metadata={})  # doctest: +SKIP
        PosixPath('model.onnx')
    """
    path = Path(path)
    size = sum(tensor.nbytes for tensor in (*graph.parameters(), *graph.buffers()))
    if size > LARGEST_BYTES:
        raise ExportError(
            f"{path}: the weights have {size / 2**30:.1f} GB and one ONNX file holds 2 GB; "
            "write torch-export (.pt2) instead"
        )
    program = to_onnx(graph, example, optimize=optimize)
    program.model.metadata_props.update(metadata)
    with quietly(f"write {path}"), whole_file(path) as beside:
        program.save(beside, external_data=False)
    return path


def to_onnx(graph: Graph, example: tuple[Tensor, ...], *, optimize: bool = True) -> Any:
    """The graph as torch's ``ONNXProgram``, with the names of the graph and without those of this machine's files.

    Raises:
        ExportError: as :func:`write_onnx`.
    """
    try:
        import onnx  # noqa: F401 - the exporter's own message would not say what to install
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing_extra(error) from error
    exported = to_program(graph, example)
    with quietly(f"export {graph.network.builder} to ONNX"):
        program = torch.onnx.export(
            exported,
            input_names=list(graph.input_names),
            output_names=list(graph.output_names),
            opset_version=OPSET,
            optimize=optimize,
            dynamic_shapes=batch_axes(example, "batch"),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # None is for the older exporter
    _forget_origin(program.model)
    return program


def _forget_origin(model: Any) -> None:
    """Drop the exporter's notes on where each part came from: longer than the graph, with paths of this machine."""
    nodes = list(model.graph.all_nodes())
    values = [value for node in nodes for value in node.outputs]
    doors = [*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()]
    for part in (model.graph, *nodes, *values, *doors):
        part.metadata_props.clear()
