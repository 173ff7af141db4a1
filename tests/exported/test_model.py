from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from interlace.checkpoints import CheckpointError
from interlace.exported import ExportedModel, load_model

FORMATS = ("onnx", "pt2", "xml")
MEAN, STD = (torch.tensor(values).view(-1, 1, 1) for values in ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(
        0, 256, (2, 4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
    )


@pytest.fixture
def clip(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255 - MEAN) / STD


def opened(path: Path) -> ExportedModel:
    model, _ = load_model(path)
    assert isinstance(model, ExportedModel)
    return model


def by_hand(network: nn.Module, clip: Tensor) -> Tensor:
    """Logits of each frame."""
    faded = before = torch.zeros(len(clip), 3)
    answers = []
    with torch.no_grad():
        for frame in clip.unbind(1):
            logits, faded, before = network(frame, faded, before)
            answers.append(logits)
    return torch.stack(answers, 1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("inside", [False, True])
def test_clips(
    make_export: Callable[..., Path],
    network: Callable[..., nn.Module],
    format: str,
    inside: bool,
    clip: Tensor,
    pixels: Tensor,
) -> None:
    model = opened(make_export(format, "clip", inside))
    with torch.no_grad():
        expected = network("clip")(clip)
    assert expected.std() > 0.3
    torch.testing.assert_close(model(clip), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(pixels), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(clip[1:]), expected[1:], atol=1e-5, rtol=0)
    assert not model.streams


def test_a_graph_with_pixels_gets_the_very_pixels_back(
    make_export: Callable[..., Path], clip: Tensor, pixels: Tensor
) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 4, 1, 8, 8).repeat(1, 1, 3, 1, 1)
    model = opened(make_export("onnx", "clip", True))
    for values in (pixels, every):
        normal = (values.float() / 255 - MEAN) / STD
        assert torch.equal(model(normal), model(values))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("inside", [False, True])
def test_streams(
    make_export: Callable[..., Path],
    network: Callable[..., nn.Module],
    format: str,
    inside: bool,
    clip: Tensor,
) -> None:
    model = opened(make_export(format, "stream", inside))
    long = torch.cat([clip, clip.flip(1), clip], 1)
    expected = by_hand(network("stream"), long)
    state = model.init_state(2)
    assert [tuple(tensor.shape) for tensor in state] == [(2, 3), (2, 3)]
    for i, frame in enumerate(long.unbind(1)):
        logits, state = model.step(frame, state)
        torch.testing.assert_close(logits, expected[:, i], atol=1e-5, rtol=0)
    torch.testing.assert_close(model.forward_frames(long), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(clip), expected[:, :4].mean(1), atol=1e-5, rtol=0)
    assert model.streams
    assert model.state_names() == ("faded", "before")
    again, _ = model.step(long[:, 0], model.init_state(2, (8, 8)))
    torch.testing.assert_close(again, expected[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("format", FORMATS)
def test_what_came_out_stays_when_the_graph_runs_again(
    make_export: Callable[..., Path], format: str, clip: Tensor
) -> None:
    model = opened(make_export(format, "stream"))
    first, state = model.step(clip[:, 0], model.init_state(2))
    kept = [first.clone(), *(tensor.clone() for tensor in state)]
    model.step(clip[:, 1], state)
    model.step(clip[:, 2], state)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip([first, *state], kept, strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_a_fixed_batch_is_filled_up(
    make_export: Callable[..., Path], network: Callable[..., nn.Module], format: str, clip: Tensor
) -> None:
    clips = torch.cat([clip, clip.flip(3) + 1, clip[:1] * 2])
    with torch.no_grad():
        expected = network("clip")(clips)
    model = opened(make_export(format, "clip", batch=3))
    torch.testing.assert_close(model(clips), expected, atol=1e-5, rtol=0)
    streams = opened(make_export(format, "stream", batch=3))
    frames = by_hand(network("stream"), clips)
    torch.testing.assert_close(streams(clips), frames.mean(1), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"2 streams: .* was exported for 3 at a time"):
        streams.init_state(2)


@pytest.mark.parametrize("format", FORMATS)
def test_stepping_keeps_nothing(make_export: Callable[..., Path], format: str, clip: Tensor) -> None:
    model = opened(make_export(format, "stream"))
    frame, state = clip[:, 0], model.init_state(2)

    seen: list[weakref.ref[Tensor]] = []
    for _ in range(20):
        logits, state = model.step(frame, state)
        seen += [weakref.ref(tensor) for tensor in (logits, *state)]
    gc.collect()
    assert sum(tensor() is not None for tensor in seen) == 3


def test_it_says_of_itself_what_every_network_does(make_export: Callable[..., Path]) -> None:
    model = opened(make_export("onnx"))
    assert (model.num_segments, model.segments, model.num_classes, model.in_chans) == (4, (4,), 5, 3)
    assert (model.modality, model.mean, model.std) == ("rgb", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    assert model.device == torch.device("cpu")
    assert model.eval() is model
    with pytest.raises(ValueError, match=r"onnx is for inference only; train the network"):
        model.train()
    with pytest.raises(ValueError, match=r"onnx cannot be rebuilt; change the checkpoint"):
        _ = model.builder


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 3, 8), r"clips are \(B, T, C, H, W\), normalised .*; got \(2, 4, 3, 8\) of torch.float32"),
        ((0, 4, 3, 8, 8), "the batch is empty"),
        ((2, 5, 3, 8, 8), "the clip has 5 frames, .* was exported for 4; export the network again"),
        ((2, 4, 1, 8, 8), r"the frames have 1 channels, .* takes 3 \(rgb\)"),
        ((2, 4, 3, 8, 9), "the frames are 8x9 pixels, .* was exported for 8x8; resize them"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_clips_that_do_not_fit(
    make_export: Callable[..., Path], format: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(ExportedModel.forward)(opened(make_export(format)), torch.zeros(shape))


def test_whole_numbers_that_are_no_pixels(make_export: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"got .* of torch.int64"):
        opened(make_export("onnx")).forward(torch.zeros(2, 4, 3, 8, 8, dtype=torch.int64))


def test_a_network_of_clips_does_not_stream(make_export: Callable[..., Path], clip: Tensor) -> None:
    model = opened(make_export("onnx"))
    attempts = (
        lambda: model.init_state(1),
        lambda: model.step(clip[:, 0], ()),
        lambda: model.forward_frames(clip),
    )
    for attempt in attempts:
        with pytest.raises(
            ValueError, match=r"takes whole clips and keeps no state; export a causal network"
        ):
            attempt()


def test_states_that_do_not_fit(make_export: Callable[..., Path], clip: Tensor) -> None:
    model = opened(make_export("onnx", "stream"))
    with pytest.raises(ValueError, match=r"the state has the shapes \[\(1, 3\), \(1, 3\)\], for 2 streams"):
        model.step(clip[:, 0], model.init_state(1))
    with pytest.raises(ValueError, match=r"the state has the shapes \[\]"):
        model.step(clip[:, 0], ())
    with pytest.raises(ValueError, match=r"0 streams: .* was exported for one or more"):
        model.init_state(0)
    with pytest.raises(ValueError, match="was exported for frames of 8x8, not 16"):
        model.init_state(1, 16)
    with pytest.raises(ValueError, match=r"frames are \(B, C, H, W\)"):
        inspect.unwrap(ExportedModel.step)(model, clip, model.init_state(2))
    with pytest.raises(ValueError, match=r"clips are \(B, T, C, H, W\); got \(2, 3, 8, 8\)"):
        inspect.unwrap(ExportedModel.forward_frames)(model, clip[:, 0])


def test_a_graph_that_refuses_what_it_says_it_takes(make_export: Callable[..., Path], clip: Tensor) -> None:
    """As one damaged byte in the declared shape of a state did."""
    import onnx

    path = make_export("onnx", "stream")
    model = onnx.load(path)
    batch = next(
        value for value in model.graph.input if value.name == "past.faded"
    ).type.tensor_type.shape.dim[0]
    batch.ClearField("dim_param")
    batch.dim_value = 7
    onnx.save(model, path)
    exported = opened(path)
    with pytest.raises(
        CheckpointError, match=r"its graph cannot be run \(.*Expected: 7.*export the network again"
    ):
        exported(clip)
