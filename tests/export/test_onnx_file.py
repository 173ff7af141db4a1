from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.export import ClipGraph, ExportError, StreamGraph, onnx_file, write_onnx
from interlace.models import VideoModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SIZE = (32, 40)
TEXTS = {
    "interlace": '{"labels": ["Ängel", "\\"quoted\\" <tag> & more"]}',
    "interlace_graph": '{"format": 1}',
}


def feed(session: onnxruntime.InferenceSession, inputs: list[torch.Tensor]) -> dict[str, np.ndarray]:
    return {door.name: tensor.numpy() for door, tensor in zip(session.get_inputs(), inputs, strict=True)}


@pytest.fixture(scope="module")
def tin(small_network: Callable[..., VideoModel], tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """A small TIN that takes pixels, and its file."""
    model = small_network("tin_resnet18")
    graph = ClipGraph(model, pixels=True)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return graph, write_onnx(graph, graph.example(SIZE), path, metadata=TEXTS)


@torch.no_grad()
def test_a_file_computes_the_same_for_any_batch(tin: tuple) -> None:
    graph, path = tin
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        (clip,) = graph.example(SIZE, batch=batch)
        (logits,) = session.run(["logits"], {"clip": clip.numpy()})
        np.testing.assert_allclose(logits, graph(clip).numpy(), atol=1e-4, rtol=0)


def test_it_holds_standard_operations_only(tin: tuple) -> None:
    model = onnx.load(tin[1])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", onnx_file.OPSET)]
    assert len(model.functions) == 0
    assert {node.op_type for node in model.graph.node} >= {"Conv", "MatMul", "Sigmoid"}


def test_tensorrt_reads_it(tin: tuple) -> None:
    graph = onnx.load(tin[1]).graph
    initializers = {initializer.name for initializer in graph.initializer}
    # "UINT8 is only supported as network input or output tensor types", "axes must be an initializer".
    assert [node.op_type for node in graph.node if "clip" in node.input] == ["Cast"]
    means = [node for node in graph.node if node.op_type == "ReduceMean"]
    assert means
    assert all(node.input[1] in initializers for node in means)


def test_names_types_and_texts(tin: tuple) -> None:
    model = onnx.load(tin[1])
    (clip,), (logits,) = model.graph.input, model.graph.output
    sizes = [axis.dim_param or axis.dim_value for axis in clip.type.tensor_type.shape.dim]
    assert (clip.name, sizes) == ("clip", ["batch", 4, 3, 32, 40])
    assert clip.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert logits.name == "logits"
    assert {entry.key: entry.value for entry in model.metadata_props} == TEXTS


def test_the_file_is_one_and_knows_no_paths_of_this_machine(tin: tuple) -> None:
    content = tin[1].read_bytes()
    assert [file.name for file in tin[1].parent.iterdir()] == ["model.onnx"]
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b"pkg.torch" not in content


@torch.no_grad()
def test_a_stream_remembers_through_its_state(
    tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network("tsm_causal_resnet18")
    graph = StreamGraph(model)
    path = write_onnx(graph, graph.example(SIZE), tmp_path / "m.onnx", metadata={}, optimize=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert tuple(door.name for door in session.get_inputs()) == graph.input_names
    assert tuple(door.name for door in session.get_outputs()) == graph.output_names
    state, remembered = list(graph.init_state(SIZE, batch=3)), model.init_state(3)
    for frame in torch.randn(2 * model.num_segments, 3, 3, *SIZE):
        found, *after = session.run(None, feed(session, [frame, *state]))
        state = [torch.from_numpy(memory) for memory in after]
        expected, remembered = model.step(frame, remembered)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4, rtol=0)


def test_weights_of_more_than_two_gigabytes_are_refused(
    tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    graph = ClipGraph(small_network("tsn_resnet18"))
    with torch.device("meta"):
        graph.network.head = torch.nn.Linear(2**15, 2**15)
    with pytest.raises(ExportError, match=r"4\.0 GB and one ONNX file holds 2 GB; write torch-export"):
        write_onnx(graph, graph.example(SIZE), tmp_path / "m.onnx", metadata={})
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, small_network: Callable[..., VideoModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    graph = ClipGraph(small_network("tsn_resnet18"))
    with pytest.raises(ExportError, match=r'pip install "interlace\[export\]"'):
        write_onnx(graph, graph.example(SIZE), tmp_path / "m.onnx", metadata={})


def test_the_terminal_stays_quiet(
    tmp_path: Path, small_network: Callable[..., VideoModel], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = ClipGraph(small_network("tsn_resnet18"))
    write_onnx(graph, graph.example(SIZE), tmp_path / "m.onnx", metadata={}, optimize=False)
    assert capfd.readouterr() == ("", "")
