from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from interlace.data.transforms import Preprocess
from interlace.export import ClipGraph, StreamGraph
from interlace.models import VideoModel


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments", "channels"),
    [
        ("tsn_resnet18", {}, 3),
        ("tsn_resnet18", {"modality": "flow"}, 10),
        ("two_stream_tsn_resnet18", {}, 13),  # its members normalise for themselves
        ("tsn_resnet18", {"in_chans": 1, "mean": [0.25], "std": [0.125]}, 1),
    ],
)
def test_pixels_are_normalised_inside_as_beside(
    name: str, arguments: dict[str, object], channels: int, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network(name, **arguments)
    graph = ClipGraph(model, pixels=True)
    (clip,) = graph.example((32, 40), batch=2)
    assert (clip.dtype, clip.shape) == (torch.uint8, (2, 4, channels, 32, 40))
    assert clip.min() == 0
    assert clip.max() == 255
    expected = model(Preprocess(model.mean, model.std)(clip))
    torch.testing.assert_close(graph(clip), expected, atol=1e-4, rtol=0)


def test_names_of_a_clip(small_network: Callable[..., VideoModel]) -> None:
    graph = ClipGraph(small_network("tsn_resnet18"))
    assert (graph.input_names, graph.output_names) == (("clip",), ("logits",))
    assert graph.example(32)[0].shape == (2, 4, 3, 32, 32)
    assert torch.equal(graph.example(32)[0], graph.example(32)[0])


def test_names_of_a_stream(small_network: Callable[..., VideoModel]) -> None:
    model = small_network("tin_causal_resnet18")
    graph, names = StreamGraph(model, pixels=True), model.state_names()
    assert graph.input_names == ("frame", *(f"past.{name}" for name in names))
    assert graph.output_names == ("logits", *(f"next.{name}" for name in names))
    frame, *state = graph.example((32, 40), batch=3)
    assert (frame.dtype, frame.shape) == (torch.uint8, (3, 3, 32, 40))
    assert [memory.shape for memory in state] == [memory.shape for memory in model.init_state(3, (32, 40))]
    assert len(state) == len(names)
    assert not any(memory.any() for memory in state)


def test_a_stream_of_what_cannot(small_network: Callable[..., VideoModel]) -> None:
    with pytest.raises(ValueError, match="tsm_causal"):
        StreamGraph(small_network("tsm_resnet18"))
