"""Writes .xml and .bin: a graph that OpenVINO reads, and its weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from interlace.export.onnx_file import to_onnx
from interlace.export.quiet import missing_extra, quietly
from interlace.export.wrappers import Graph
from interlace.files import part_of, to_disk
from interlace.telemetry import unobserved


def write_openvino(
    graph: Graph,
    example: tuple[Tensor, ...],
    path: str | Path,
    *,
    metadata: Mapping[str, str],
    optimize: bool = True,
) -> Path:
    """Write the graph as an .xml file, and its weights in float32 as a .bin file beside it.

    Args:
        graph: :class:`interlace.export.ClipGraph` or :class:`interlace.export.StreamGraph`.
        example: its inputs, ``graph.example(image_size)``; the file takes frames of their size, and any batch.
        path: of the .xml file.
        metadata: texts that the file keeps under their names, in its ``rt_info``.
        optimize: see :func:`interlace.export.write_onnx`.

    Raises:
        ValueError: the path does not end in .xml.
        ExportError: the extra is not installed, or torch or OpenVINO cannot convert the graph, with what it said.

    Example:
        >>> import interlace
        >>> from interlace.export import ClipGraph, write_openvino
        >>> graph = ClipGraph(interlace.create_model("tin_resnet18", num_classes=5, num_segments=4))
        >>> write_openvino(graph, graph.example(224), "model.xml", metadata={})  # doctest: +SKIP
        PosixPath('model.xml')
    """
    path = _checked(path)
    return save_openvino(to_openvino(graph, example, optimize=optimize), path, metadata=metadata)


def to_openvino(graph: Graph, example: tuple[Tensor, ...], *, optimize: bool = True) -> Any:
    """The graph as an ``openvino.Model``, by way of ONNX, so that both files hold the same operations.

    Raises:
        ExportError: as :func:`write_openvino`.
    """
    _openvino()
    program = to_onnx(graph, example, optimize=optimize)
    with (
        quietly(f"convert {graph.network.builder} to OpenVINO"),
        tempfile.TemporaryDirectory(prefix="interlace-") as folder,
    ):
        file = Path(folder) / "graph.onnx"
        program.save(file)
        return read_onnx(file)


def read_onnx(path: Path) -> Any:
    """An ONNX file as an ``openvino.Model``. Unlike ``convert_model`` this reports nothing to OpenVINO's maker.

    Raises:
        ExportError: openvino is not installed.
    """
    return _openvino().Core().read_model(path)


def save_openvino(model: Any, path: str | Path, *, metadata: Mapping[str, str]) -> Path:
    """Write an ``openvino.Model``, such as one that was quantized; the .xml file appears last, when all is there.

    Raises:
        ValueError: the path does not end in .xml.
        ExportError: OpenVINO cannot write it.
    """
    path = _checked(path)
    openvino = _openvino()
    for name, text in metadata.items():
        model.set_rt_info(text, [name])
    with quietly(f"write {path}"), part_of(path, is_folder=True) as folder:
        beside = folder / path.name
        openvino.save_model(model, beside, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            to_disk(beside.with_suffix(suffix))
            beside.with_suffix(suffix).replace(path.with_suffix(suffix))
        to_disk(path.parent)
    return path


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".xml":
        raise ValueError(
            f"{path}: an OpenVINO graph is written to a file that ends in .xml (and one in .bin)"
        )
    return path


def _openvino() -> Any:
    try:
        with unobserved():
            import openvino
    except ImportError as error:
        raise missing_extra(error) from error
    return openvino
