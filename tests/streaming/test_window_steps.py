from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from interlace.data.pixels import to_gray
from interlace.data.views import spatial_views
from interlace.inference import Recognizer
from interlace.streaming.window_steps import WindowSteps


def level(value: int) -> Tensor:
    return torch.full((3, 36, 48), value, dtype=torch.uint8)


def answers(steps: WindowSteps, levels: list[int], fps: float) -> list[tuple[float, Tensor]]:
    found = []
    for i, value in enumerate(levels):
        probabilities = steps.step(level(value), i / fps)
        if probabilities is not None:
            found.append((i / fps, probabilities))
    return found


def test_a_window_of_frames_is_seen_every_hop(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed()
    steps = WindowSteps(recognizer, frame_rate=10.0, hop_seconds=0.5)
    levels = [2 * i for i in range(40)]
    found = answers(steps, levels, 10.0)
    # Full when the last of four segments begins, after 1.5 s; from 2 s on there are 20 frames.
    assert [time for time, _ in found] == [1.5, 2.0, 2.5, 3.0, 3.5]
    seen = [(255 * clip[0, :, 0, 0, 0]).round().int().tolist() for clip in recognizer.model.seen]
    assert seen[0] == [4, 12, 20, 28]  # of 16 frames: 2, 6, 10, 14
    assert seen[2] == [16, 26, 36, 46]  # of frames 6 to 25: 8, 13, 18, 23
    assert seen[4] == [36, 46, 56, 66]
    expected = recognizer(torch.stack([level(value) for value in levels[16:36]]))
    assert dict(recognizer.best(found[4][1], 3)) == pytest.approx(dict(expected.top), abs=1e-6)


def test_frames_are_kept_by_time_not_by_number(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed()
    steps = WindowSteps(recognizer, frame_rate=100.0, hop_seconds=1.0)
    for i, time in enumerate([0.0, 0.1, 0.2, 1.0, 1.4, 2.05, 2.9, 3.4]):
        steps.step(level(i), time)
    seen = [(255 * clip[0, :, 0, 0, 0]).round().int().tolist() for clip in recognizer.model.seen]
    assert seen == [[1, 2, 4, 5], [3, 4, 5, 6]]  # at 2.05 s of frames 1 to 5; at 2.9 s of 3 to 6


def test_four_frames_a_segment_are_kept_by_default(windowed: Callable[..., Recognizer]) -> None:
    steps = WindowSteps(windowed())
    assert (steps.frame_rate, steps.hop_seconds, steps.smooth_seconds) == (8.0, 0.5, 0.5)
    assert steps.about == "the last 2 s, every 0.5 s"
    kept = [steps.take(level(0), i / 64) for i in range(160)]
    assert [tuple(frames.shape) for frames in kept if frames is not None][-1] == (16, 3, 28, 28)


def test_sampling_that_counts_frames_gets_all(windowed: Callable[..., Recognizer]) -> None:
    dense = {"name": "dense", "num_segments": 4, "frame_stride": 8}
    recognizer = windowed(sampling=dense)
    steps = WindowSteps(recognizer)
    assert steps.frame_rate is None
    answers(steps, list(range(61)), 30.0)
    seen = (255 * recognizer.model.seen[-1][0, :, 0, 0, 0]).round().int().tolist()
    assert seen == [15, 23, 31, 39]  # in the middle of the frames 1 to 60


def test_gray_networks_see_the_gray_that_training_saw(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed("gray")
    steps = WindowSteps(recognizer)
    pixels = torch.randint(0, 256, (36, 48, 3), dtype=torch.uint8)
    steps.take(pixels.permute(2, 0, 1), 0.0)
    kept = steps.last()
    gray = torch.from_numpy(np.array(to_gray(pixels.numpy()))).permute(2, 0, 1)
    assert kept is not None
    assert torch.equal(kept, spatial_views(gray[None], "center", 28)[0])


def test_networks_of_differences_see_neighbours(windowed: Callable[..., Recognizer]) -> None:
    sampling = {"name": "segment", "num_segments": 4, "snippet_length": 6}
    recognizer = windowed(in_chans=18, sampling=sampling, preprocessing={"modality": "rgb_diff"})
    steps = WindowSteps(recognizer, hop_seconds=2.0)
    assert steps.frame_rate is None
    frames = torch.randint(0, 256, (21, 3, 36, 48), dtype=torch.uint8)
    found = [steps.step(frame, i / 10) for i, frame in enumerate(frames[:16])][-1]
    assert found is not None
    assert dict(recognizer.best(found, 3)) == pytest.approx(dict(recognizer(frames[:16]).top), abs=1e-6)
    large = torch.zeros(3, 512, 700, dtype=torch.uint8)
    steps.reset()
    steps.take(large, 0.0)
    kept = steps.last()
    assert kept is not None
    assert kept.shape == (1, 3, 256, 350)


def test_a_short_stream_is_answered_at_its_end(windowed: Callable[..., Recognizer]) -> None:
    steps = WindowSteps(windowed())
    assert steps.last() is None
    assert answers(steps, [115] * 5, 10.0) == []
    left = steps.last()
    assert left is not None
    assert steps.answer(left).argmax() == 1
    assert steps.last() is None  # it was asked for


def test_after_a_reset_the_window_fills_anew(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed()
    steps = WindowSteps(recognizer)
    before = answers(steps, [250] * 31, 10.0)
    steps.reset()
    after = answers(steps, [115] * 31, 10.0)
    assert [time for time, _ in before] == [time for time, _ in after] == [1.5, 2.0, 2.5, 3.0]
    assert {int(p.argmax()) for _, p in before} == {2}
    assert {int(p.argmax()) for _, p in after} == {1}


def test_warming_up_leaves_nothing_behind(windowed: Callable[..., Recognizer]) -> None:
    recognizer = windowed()
    steps = WindowSteps(recognizer)
    steps.warm_up()
    assert len(recognizer.model.seen) == 1
    assert steps.last() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_seconds": 0.0}, "window_seconds=0 is not above zero"),
        ({"window_seconds": float("nan")}, "window_seconds=nan"),
        ({"hop_seconds": -1.0}, "hop_seconds=-1 is not above zero"),
        ({"frame_rate": 0.0}, "fps=0 is not above zero"),
        ({"frame_rate": float("inf")}, "fps=inf"),
        ({"hop_seconds": 3.0}, "hop_seconds=3 is longer than the window of 2 s"),
    ],
)
def test_numbers_that_mean_nothing(
    windowed: Callable[..., Recognizer], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        WindowSteps(windowed(), **options)
