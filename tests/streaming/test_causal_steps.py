from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from interlace.data.views import spatial_views
from interlace.inference import Recognizer
from interlace.models import with_num_segments
from interlace.streaming.steps import CausalSteps, WindowSteps, frame_steps


def run(steps: CausalSteps, frames: Tensor, fps: float) -> list[Tensor | None]:
    return [steps.step(frame, i / fps) for i, frame in enumerate(frames)]


def test_steps_give_what_the_clip_gives_frame_by_frame(causal: Recognizer) -> None:
    frames = torch.randint(0, 256, (9, 3, 36, 48), dtype=torch.uint8)
    steps = CausalSteps(causal)
    found = run(steps, frames, 2.0)
    clip = causal.preprocess(spatial_views(frames, "center", 28))
    with torch.inference_mode():
        expected = causal.model.forward_frames(clip)[0].double().softmax(-1)
    for answer, row in zip(found, expected, strict=True):
        assert answer is not None
        torch.testing.assert_close(answer, row, atol=1e-5, rtol=0)
    steps.reset()
    again = run(steps, frames, 2.0)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))


def test_frames_are_taken_at_the_rate_of_training(summing: Recognizer) -> None:
    steps = CausalSteps(summing)
    assert (steps.frame_rate, steps.smooth_seconds) == (2.0, 1.0)
    assert steps.about == "2 frames a second, one by one"
    found = run(steps, torch.full((25, 3, 36, 48), 51, dtype=torch.uint8), 12.0)
    # Each is a frame early: time stamps may tremble by a quarter of a period.
    assert [i for i, answer in enumerate(found) if answer is not None] == [0, 5, 11, 17, 23]
    # A fifth of full brightness each time: the logits are 0, n/5 and 2n/5 after n frames.
    last = found[23]
    assert last is not None
    torch.testing.assert_close(last, torch.tensor([0.0, 1.0, 2.0]).double().softmax(-1), atol=1e-6, rtol=0)
    assert steps.last() is None


def test_the_rate_is_that_of_training_also_if_loaded_for_more_frames(causal: Recognizer) -> None:
    longer = with_num_segments(causal.model, 8)
    described = replace(causal.card, training={"num_segments": 4})
    assert CausalSteps(Recognizer(longer, described, device="cpu")).frame_rate == 2.0


def test_another_rate_and_a_reset(summing: Recognizer) -> None:
    steps = CausalSteps(summing, frame_rate=6.0)
    frames = torch.full((12, 3, 36, 48), 255, dtype=torch.uint8)
    first = run(steps, frames, 12.0)
    assert sum(answer is not None for answer in first) == 6
    steps.reset()
    again = run(steps, frames, 12.0)
    assert [a is None for a in first] == [a is None for a in again]
    assert again[0] is not None
    assert torch.equal(torch.as_tensor(first[0]), again[0])


def test_what_fits_the_network_is_chosen(summing: Recognizer, windowed: Callable[..., Recognizer]) -> None:
    assert isinstance(frame_steps(summing), CausalSteps)
    steps = frame_steps(windowed(), hop_seconds=0.25)
    assert isinstance(steps, WindowSteps)
    assert steps.hop_seconds == 0.25
    assert (steps.is_repeatable, frame_steps(summing).is_repeatable) == (True, False)
    with pytest.raises(ValueError, match="tsm_causal_resnet18 is causal and answers every frame"):
        frame_steps(summing, hop_seconds=0.5)
    with pytest.raises(ValueError, match="fps=-2 is not above zero"):
        frame_steps(summing, frame_rate=-2.0)


def test_a_network_that_sees_clips_only_has_no_steps(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed()
    with pytest.raises((ValueError, AttributeError)):
        CausalSteps(recognizer)


def test_a_network_that_diverged_is_named(summing: Recognizer) -> None:
    steps = CausalSteps(summing)
    steps.recognizer.preprocess.scale.fill_(float("nan"))
    with pytest.raises(
        ValueError, match="tsm_causal_resnet18: the network gives numbers that are not finite"
    ):
        steps.step(torch.zeros(3, 36, 48, dtype=torch.uint8), 0.0)
