from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.export import ClipGraph, StreamGraph, write_openvino
from interlace.models import VideoModel

openvino = pytest.importorskip("openvino")

SIZE = (32, 40)
TEXTS = {
    "interlace": '{"labels": ["Ängel", "\\"quoted\\" <tag> & more"]}',
    "interlace_graph": '{"format": 1}',
}


@pytest.fixture(scope="module")
def tsm(small_network: Callable[..., VideoModel], tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """A small TSM, and its files."""
    graph = ClipGraph(small_network("tsm_resnet18"))
    path = tmp_path_factory.mktemp("openvino") / "model.xml"
    return graph, write_openvino(graph, graph.example(SIZE), path, metadata=TEXTS, optimize=False)


def compiled(path: Path) -> openvino.CompiledModel:
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@torch.no_grad()
def test_a_file_computes_the_same_for_any_batch(tsm: tuple) -> None:
    graph, path = tsm
    program = compiled(path)
    for batch in (1, 2, 5):
        (clip,) = graph.example(SIZE, batch=batch)
        logits = program({"clip": clip.numpy()})["logits"]
        np.testing.assert_allclose(logits, graph(clip).numpy(), atol=1e-4, rtol=0)


def test_it_holds_operations_of_openvino_only(tsm: tuple) -> None:
    kinds = {node.get_type_info().version_id for node in openvino.Core().read_model(tsm[1]).get_ops()}
    assert kinds
    assert all(kind.startswith("opset") for kind in kinds)


def test_names_texts_and_files(tsm: tuple) -> None:
    model = openvino.Core().read_model(tsm[1])
    assert [door.get_any_name() for door in (*model.inputs, *model.outputs)] == ["clip", "logits"]
    assert str(model.inputs[0].partial_shape) == "[?,4,3,32,40]"
    assert {name: model.get_rt_info([name]).astype(str) for name in TEXTS} == TEXTS
    assert sorted(file.name for file in tsm[1].parent.iterdir()) == ["model.bin", "model.xml"]
    assert str(Path(__file__).parents[2]) not in tsm[1].read_text()


@pytest.mark.slow
@torch.no_grad()
def test_a_stream_remembers_through_its_state(
    tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network("tin_causal_resnet18")
    graph = StreamGraph(model, pixels=True)
    path = write_openvino(graph, graph.example(SIZE), tmp_path / "m.xml", metadata={}, optimize=False)
    program = compiled(path)
    frame, *state = graph.example(SIZE, batch=3)
    remembered = graph.init_state(SIZE, batch=3)
    for _ in range(2 * model.num_segments):
        frame = frame.roll(1, 0)
        found = program(dict(zip(graph.input_names, (frame.numpy(), *state), strict=True)))
        state = [found[name] for name in graph.output_names[1:]]
        expected, *remembered = graph(frame, *remembered)
        np.testing.assert_allclose(found["logits"], expected.numpy(), atol=1e-4, rtol=0)


def test_another_suffix_is_refused(tmp_path: Path, small_network: Callable[..., VideoModel]) -> None:
    graph = ClipGraph(small_network("tsn_resnet18"))
    with pytest.raises(
        ValueError, match=r"model\.bin: an OpenVINO graph is written to a file that ends in \.xml"
    ):
        write_openvino(graph, graph.example(SIZE), tmp_path / "model.bin", metadata={})
