"""The files of an export, and of what it is compared with: one graph in each format that can be run here."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from interlace.checkpoints import ModelCard
from interlace.export.onnx_file import write_onnx
from interlace.export.openvino_file import read_onnx, save_openvino
from interlace.export.quiet import ExportError, missing_extra
from interlace.export.torch_file import write_torch_export
from interlace.export.wrappers import ClipGraph, Graph, StreamGraph
from interlace.exported.about import BATCH, About, StateTensor, to_metadata
from interlace.exported.beside import beside

Format = Literal["onnx", "torch-export", "openvino"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2", "openvino": ".xml"}
RUNTIMES: dict[Format, str] = {"onnx": "onnxruntime", "torch-export": "torch-export", "openvino": "openvino"}
"""What runs a file of each format, as the report calls it."""
NEEDS: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torch-export": (),
    "openvino": ("onnx", "onnxscript", "openvino"),
}


def format_of(output: Path, format: Format | None) -> Format:
    """The format that the file's name asks for, which is also the one that was named, if one was.

    Raises:
        ValueError: the name asks for another one, or for none.

    Example:
        >>> from pathlib import Path
        >>> from interlace.export.files import format_of
        >>> format_of(Path("model.xml"), None)
        'openvino'
    """
    found = {suffix: name for name, suffix in SUFFIXES.items()}.get(output.suffix)
    if format is not None and found != format:
        raise ValueError(
            f"{output}: a file of format {format} ends in {SUFFIXES[format]}: {output.with_suffix(SUFFIXES[format])}"
        )
    if found is None:
        endings = ", ".join(f"{suffix} ({name})" for name, suffix in SUFFIXES.items())
        raise ValueError(f"{output}: what shall be written is told by the ending: {endings}")
    return found


def final_files(output: Path) -> tuple[Path, ...]:
    """All that an export writes, the file that is opened last.

    Example:
        >>> from pathlib import Path
        >>> from interlace.export.files import final_files
        >>> [path.name for path in final_files(Path("model.xml"))]
        ['model.xml.json', 'model.bin', 'model.xml']
    """
    weights = (output.with_suffix(".bin"),) if output.suffix == ".xml" else ()
    return (beside(output), *weights, output)


def missing_for(format: Format, *, int8: bool = False) -> ExportError | None:
    """What to say if something that a format needs is not installed; None if all is there."""
    for name in (*NEEDS[format], *(("nncf",) if int8 else ())):
        if find_spec(name) is None:
            return missing_extra(ImportError(f"No module named {name!r}", name=name))
    return None


def about_graph(graph: Graph, image_size: int) -> About:
    """What the graph takes and gives, for frames of that size."""
    pixels = graph.pixels is not None
    if isinstance(graph, ClipGraph):
        return About("clip", pixels=pixels, image_size=image_size)
    names = graph.network.state_names()
    shapes = [tuple(tensor.shape[1:]) for tensor in graph.init_state(image_size, 1)]
    state = tuple(StateTensor(name, (BATCH, *shape)) for name, shape in zip(names, shapes, strict=True))
    return About("stream", pixels=pixels, image_size=image_size, state=state)


def write_files(
    graph: Graph,
    about: About,
    card: ModelCard,
    format: Format,
    path: Path,
    others: Path,
    progress: Callable[[str], None],
) -> dict[str, Path]:
    """Write the graph to ``path``, and in the other formats that can be timed here into a folder.

    OpenVINO's file is made of the ONNX file, so that both hold the same operations.

    Returns:
        the files by the name of what runs them.
    """
    metadata, example = to_metadata(about, card), graph.example(about.image_size)
    others.mkdir(exist_ok=True)
    places = {name: others / f"graph{suffix}" for name, suffix in SUFFIXES.items()} | {format: path}
    files: dict[str, Path] = {}
    if format == "torch-export":
        progress(f"tracing and writing {format}")
        files[RUNTIMES[format]] = write_torch_export(graph, example, path, metadata=metadata)
    if missing_for("onnx") is None or format == "openvino":
        progress("tracing and writing onnx")
        source = write_onnx(graph, example, places["onnx"], metadata=metadata)
        if missing_for("onnx") is None:
            files[RUNTIMES["onnx"]] = source
        if missing_for("openvino") is None:
            progress("writing openvino")
            converted = read_onnx(source)
            files[RUNTIMES["openvino"]] = save_openvino(converted, places["openvino"], metadata=metadata)
    return files


def described_input(graph: Graph, about: About) -> str:
    """What the graph takes, in words.

    Example:
        >>> import interlace
        >>> from interlace.export import ClipGraph
        >>> from interlace.export.files import about_graph, described_input
        >>> graph = ClipGraph(interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4), pixels=True)
        >>> described_input(graph, about_graph(graph, 64))
        'clip, uint8 pixels (batch, 4, 3, 64, 64), normalised inside'
    """
    network, size = graph.network, about.image_size
    frames = f"{network.num_segments}, " if isinstance(graph, ClipGraph) else ""
    shape = f"(batch, {frames}{network.in_chans}, {size}, {size})"
    values = (
        f"uint8 pixels {shape}, normalised inside" if about.pixels else f"float32 {shape}, normalised before"
    )
    state = f", and {len(about.state)} tensors of state" if isinstance(graph, StreamGraph) else ""
    return f"{about.input_names[0]}, {values}{state}"
