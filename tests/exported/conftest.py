"""Exported files of two networks so small that they are written by hand: one of clips, one of streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.exported.about import About, state_tensors, to_metadata

T, C, S, K = 4, 3, 8, 5
LABELS = ("wave", "clap", "turn", "wäve", 'say "<&>"')
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
FORMATS = ("onnx", "pt2", "xml")


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Clips(nn.Module):
    """Mean colors of each frame, then a linear layer over all of them: the order of the frames counts."""

    def __init__(self, pixels: bool) -> None:
        super().__init__()
        self.pixels = pixels
        self.register_buffer("scale", (1 / (255 * torch.tensor(STD))).view(-1, 1, 1))
        self.register_buffer("shift", (-torch.tensor(MEAN) / torch.tensor(STD)).view(-1, 1, 1))
        self.weight = nn.Parameter(numbers(T * C, K, seed=1))

    def forward(self, clip: Tensor) -> Tensor:
        clip = clip.float() * self.scale + self.shift if self.pixels else clip
        return clip.mean((3, 4)).flatten(1) @ self.weight


class Streams(nn.Module):
    """Remembers a fading mean of the colors, and the colors of the frame before."""

    def __init__(self, pixels: bool) -> None:
        super().__init__()
        self.pixels = pixels
        self.register_buffer("scale", (1 / (255 * torch.tensor(STD))).view(-1, 1, 1))
        self.register_buffer("shift", (-torch.tensor(MEAN) / torch.tensor(STD)).view(-1, 1, 1))
        self.weight = nn.Parameter(numbers(C, K, seed=2))
        self.other = nn.Parameter(numbers(C, K, seed=3))

    def forward(self, frame: Tensor, faded: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        frame = frame.float() * self.scale + self.shift if self.pixels else frame
        colors = frame.mean((2, 3))
        faded = 0.5 * faded + colors
        return faded @ self.weight + before @ self.other, faded, colors


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return ModelCard(
        model="tsm_causal_resnet18",
        model_args={"num_classes": K, "num_segments": T},
        labels=LABELS,
        sampling={"name": "segment", "num_segments": T},
        preprocessing={"image_size": S, "mean": list(MEAN), "std": list(STD), "color": "rgb"},
        window_seconds=1.0,
    )


@pytest.fixture(scope="session")
def network() -> Callable[..., nn.Module]:
    """The same in PyTorch; takes what the graph takes."""
    return lambda kind, pixels=False: (Clips if kind == "clip" else Streams)(pixels).eval()


@pytest.fixture(scope="session")
def make_export(tmp_path_factory: pytest.TempPathFactory, card: ModelCard) -> Callable[..., Path]:
    """Write a file; each is written once, so a test that changes one copies it."""
    folder = tmp_path_factory.mktemp("exported")
    written: dict[tuple[Any, ...], Path] = {}

    def make(
        format: str,
        kind: str = "clip",
        pixels: bool = False,
        batch: int | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Path:
        key = (format, kind, pixels, batch, None if metadata is None else tuple(metadata.items()))
        if key not in written:
            state = state_tensors(("faded", "before"), [torch.zeros(2, C)] * 2) if kind == "stream" else ()
            about = About(kind, pixels=pixels, image_size=S, state=state)
            path = folder / f"{len(written)}.{format}"
            write = {"onnx": _write_onnx, "pt2": _write_pt2, "xml": _write_xml}[format]
            write(path, about, batch, to_metadata(about, card) if metadata is None else metadata)
            written[key] = path
        return written[key]

    return make


def _write_pt2(path: Path, about: About, batch: int | None, metadata: dict[str, str]) -> None:
    rows = batch or 2
    dtype = torch.uint8 if about.pixels else torch.float32
    shape = (rows, T, C, S, S) if about.kind == "clip" else (rows, C, S, S)
    inputs = (
        torch.zeros(shape, dtype=dtype),
        *(tensor.zeros(rows, torch.device("cpu")) for tensor in about.state),
    )
    axes = None if batch else tuple({0: torch.export.Dim("batch", min=1)} for _ in inputs)
    module = (Clips if about.kind == "clip" else Streams)(about.pixels).eval()
    program = torch.export.export(module, inputs, dynamic_shapes=axes)
    torch.export.save(program, path, extra_files=metadata)


def _write_xml(path: Path, about: About, batch: int | None, metadata: dict[str, str]) -> None:
    import openvino

    source = path.with_suffix(".onnx")
    _write_onnx(source, about, batch, {})
    model = openvino.Core().read_model(source)
    for name, text in metadata.items():
        model.set_rt_info(text, [name])
    openvino.save_model(model, path, compress_to_fp16=False)


def _write_onnx(path: Path, about: About, batch: int | None, metadata: dict[str, str]) -> None:
    import onnx

    model = _onnx(about, batch)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def _onnx(about: About, batch: int | None) -> Any:
    import onnx
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
    from onnx.numpy_helper import from_array

    rows = batch or "batch"
    module = (Clips if about.kind == "clip" else Streams)(about.pixels)
    constants = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    nodes = []

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(make_node(operator, inputs, [output], **attributes))
        return output

    first = about.input_names[0]
    values = first
    if about.pixels:
        values = add(
            "Add", [add("Mul", [add("Cast", [first], "float", to=1), "scale"], "scaled"), "shift"], "normal"
        )
    if about.kind == "clip":
        constants["sides"] = np.array([3, 4])
        colors = add("Flatten", [add("ReduceMean", [values, "sides"], "colors", keepdims=0)], "flat", axis=1)
        add("MatMul", [colors, "weight"], "logits")
    else:
        constants |= {"sides": np.array([2, 3]), "half": np.array(0.5, dtype=np.float32)}
        colors = add("ReduceMean", [values, "sides"], "next.before", keepdims=0)
        faded = add("Add", [add("Mul", ["past.faded", "half"], "fading"), colors], "next.faded")
        sides = add("MatMul", [faded, "weight"], "now"), add("MatMul", ["past.before", "other"], "then")
        add("Add", list(sides), "logits")
    used = {name for node in nodes for name in node.input}
    shape = [rows, T, C, S, S] if about.kind == "clip" else [rows, C, S, S]
    state = {name: [rows, C] for name in (*about.input_names[1:], *about.output_names[1:])}
    kind = onnx.TensorProto.UINT8 if about.pixels else onnx.TensorProto.FLOAT
    shapes = {"logits": [rows, K], **state}
    graph = make_graph(
        nodes,
        "graph",
        [
            make_tensor_value_info(first, kind, shape),
            *(make_tensor_value_info(n, onnx.TensorProto.FLOAT, state[n]) for n in about.input_names[1:]),
        ],
        [make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name]) for name in about.output_names],
        [from_array(value, name) for name, value in constants.items() if name in used],
    )
    return make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=10)
