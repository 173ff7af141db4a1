"""Writes .pt2: a program of ATen operations that torch.export.load reads, without this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from interlace.export.quiet import quietly
from interlace.export.wrappers import Graph
from interlace.files import whole_file


def write_torch_export(
    graph: Graph, example: tuple[Tensor, ...], path: str | Path, *, metadata: Mapping[str, str]
) -> Path:
    """Write the graph as a .pt2 file, which appears whole or not at all.

    Args:
        graph: :class:`interlace.export.ClipGraph` or :class:`interlace.export.StreamGraph`.
        example: its inputs, ``graph.example(image_size)``; the file takes frames of their size, and any batch.
        path: where to write.
        metadata: texts that the file keeps under their names, in its ``extra_files``.

    Raises:
        ExportError: torch cannot export the graph, with what it said.

    Example:
        >>> import tempfile, torch, interlace
        >>> from interlace.export import ClipGraph, write_torch_export
        >>> graph = ClipGraph(interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_torch_export(graph, graph.example(64), f"{folder}/model.pt2", metadata={"interlace": "{}"})
        ...     texts = {"interlace": ""}
        ...     program = torch.export.load(path, extra_files=texts)
        >>> program.module()(torch.zeros(3, 4, 3, 64, 64)).shape, texts
        (torch.Size([3, 5]), {'interlace': '{}'})
    """
    path = Path(path)
    program = to_program(graph, example)
    with quietly(f"write {path}"), whole_file(path) as beside, beside.open("wb") as file:
        torch.export.save(program, file, extra_files=dict(metadata))
    return path


def to_program(graph: Graph, example: tuple[Tensor, ...]) -> ExportedProgram:
    """The program of a graph, for any batch; it knows nothing of this machine's files.

    Raises:
        ExportError: torch cannot export the graph, with what it said.

    Example:
        >>> import interlace
        >>> from interlace.export import ClipGraph
        >>> from interlace.export.torch_file import to_program
        >>> graph = ClipGraph(interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4))
        >>> program = to_program(graph, graph.example(64))
        >>> {str(node.target).partition(".")[0] for node in program.graph.nodes if node.op == "call_function"}
        {'aten'}
    """
    axes = batch_axes(example, Dim("batch", min=1))
    with quietly(f"export {graph.network.builder}"), torch.no_grad():
        program = torch.export.export(graph, example, dynamic_shapes=axes, strict=False)
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # lines of code with the paths of this machine
    return program


def batch_axes(example: tuple[Tensor, ...], batch: Any) -> tuple[Any, ...]:
    """What torch wants to know of each input: its first axis is the batch. The state is one argument of several."""
    first, *state = ({0: batch} for _ in example)
    return (first, tuple(state)) if state else (first,)
