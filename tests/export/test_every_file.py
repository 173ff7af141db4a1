"""Every network as every file, with pixels in; the fast tier takes each as a program only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import interlace
from interlace.export import ClipGraph, StreamGraph, write_onnx, write_openvino, write_torch_export
from interlace.export.graph import CANNOT
from interlace.models import VideoModel
from interlace.models.create import parse_name
from interlace.models.ensembles import ENSEMBLES
from interlace.models.methods import METHODS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")

SIZE = (64, 48)
RELATIVE_LIMIT = 3e-5
ARGUMENTS: dict[str, dict[str, object]] = {
    **{name: {"num_segments": 6} for name in ("tin_en", "tsm_en")},
    **{name: {"num_segments": 23} for name in ("eco_enlite", "two_stream_eco_enlite")},
    **{name: {"num_segments": 8} for name in ("i3d_light", "i3d_light_nl")},
    **{name: {"proposals": "grid"} for name in CANNOT},
    "ensemble": {
        "num_segments": 6,
        "weights": [1, 2],
        "multi_label": True,
        "members": [
            {"model": f"{method}_resnet18", "model_args": {"num_segments": T, "layers": (1, 1, 1, 1)}}
            for method, T in (("tsm", 2), ("tin", 4))
        ],
    },
}
NETWORKS = [
    *(f"{method}_{row.backbones[0]}" for method, row in METHODS.items() if "bninception" in row.backbones),
    *(f"{method}_resnet18" for method in (*METHODS, *ENSEMBLES) if method != "ensemble"),
    "ensemble",
    *("tsm_causal_mobilenetv2_100", "tin_causal_mobilenetv2_100", "tsm_efficientnet_b0", "tin_regnety_008"),
    *("tsn_convnext_atto", "tsm_tf_efficientnetv2_s", "tin_mobilenetv3_small_100", "tsm_seresnet50"),
]
# What TensorRT 10.15 says that it reads, of what these networks need.
OF_TENSORRT = {
    *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "ConstantOfShape"),
    *("Conv", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor"),
    *(
        "Gather",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "Greater",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LayerNormalization",
    ),
    *("Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg"),
    *(
        "Pad",
        "Pow",
        "ReduceL2",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceProd",
        "ReduceSum",
        "Relu",
    ),
    *("Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt"),
    *("Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
}


def inputs_and_outputs(
    model: VideoModel, graph: ClipGraph | StreamGraph
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Three clips, or three streams at their second frame, and what the network itself makes of them."""
    first, *state = graph.example(SIZE, batch=3)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
    normalised = (first / 255 - mean) / std
    if isinstance(graph, ClipGraph):
        return (first,), (model(normalised),)
    _, state = model.step(normalised, tuple(state))
    logits, after = model.step(normalised, state)
    return (first, *state), (logits, *after)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(NETWORKS)))
def test_every_network_as_every_file(
    name: str, tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network(name, **ARGUMENTS.get(parse_name(name)[0], {}))
    for form in (ClipGraph, StreamGraph) if model.streams else (ClipGraph,):
        graph = form(model, pixels=True)
        example = graph.example(SIZE)
        inputs, expected = inputs_and_outputs(model, graph)
        feed = {door: tensor.numpy() for door, tensor in zip(graph.input_names, inputs, strict=True)}

        path = write_onnx(graph, example, tmp_path / "m.onnx", metadata={})
        nodes = onnx.load(path).graph.node
        assert {node.domain for node in nodes} == {""}
        assert {node.op_type for node in nodes} <= OF_TENSORRT
        found = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feed)
        compare(found, expected)

        path = write_openvino(graph, example, tmp_path / "m.xml", metadata={})
        program = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        said = program(feed)
        compare([said[door] for door in graph.output_names], expected)

        path = write_torch_export(graph, example, tmp_path / "m.pt2", metadata={})
        found = torch.export.load(path).module()(*inputs)
        compare([found] if isinstance(found, torch.Tensor) else found, expected)


def compare(found: list[object], expected: tuple[torch.Tensor, ...]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        limit = RELATIVE_LIMIT * other.abs().max().item()
        np.testing.assert_allclose(np.asarray(one), other.numpy(), atol=limit, rtol=0)


@pytest.mark.slow
def test_a_resnet50_in_full_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = interlace.create_model("tin_resnet50", num_classes=7).eval()
    torch.nn.init.normal_(model.heads()[0].weight)
    graph = ClipGraph(model)
    path = write_onnx(graph, graph.example(224), tmp_path / "m.onnx", metadata={})
    (clip,) = graph.example(224, batch=1)
    (logits,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"clip": clip.numpy()}
    )
    with torch.no_grad():
        np.testing.assert_allclose(logits, model(clip).numpy(), atol=1e-4, rtol=1e-4)
