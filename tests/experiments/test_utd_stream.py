"""Moments of recognition are those that the answers have; streams are drawn as said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

import utd_stream
import utd_stream_plots
from interlace.streaming.frame_steps import FrameSteps
from utd_stream import Action

ACTIONS = [Action(Path("a.mp4"), "wave", 0.0, 2.0), Action(Path("b.mp4"), "clap", 2.0, 6.0)]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ([0, 0, 0, 0], None),
        ([1, 1, 1, 0], None),  # not at its end
        ([0, 0, 0, 1], 2.5),
        ([1, 0, 1, 1], 1.5),  # the first time was not for good
        ([1, 1, 1, 1], 0.0),
    ],
)
def test_moment(right: list[int], expected: float | None) -> None:
    """Answers of other actions, right or wrong, do not count; one at the border is the next action's."""
    times = [1.0, 2.0, 2.5, 3.5, 4.5, 5.0]
    is_right = [True, *map(bool, right), not right[-1]]
    assert utd_stream.moment(times, is_right, 2.0, 5.0) == expected
    assert utd_stream.moment([], [], 2.0, 5.0) is None


def test_moments_of_a_stream_and_their_summary() -> None:
    times = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
    wave, clap = torch.tensor([0.6, 0.4]), torch.tensor([0.2, 0.8])
    answers = (clap, wave, wave, wave, clap, wave, clap)
    found = utd_stream.moments(ACTIONS, ("wave", "clap"), times, answers)
    assert found == [1.0, 3.0]
    assert utd_stream.shares_of(ACTIONS, found) == [0.5, 0.75]
    numbers = utd_stream.summarize(ACTIONS, found)
    assert (numbers["recognized"], numbers["median_seconds"], numbers["median_share"]) == (100.0, 2.0, 0.625)
    assert [numbers["recognized_by_share"][share] for share in ("0.4", "0.5", "0.7", "0.8")] == [
        0,
        50,
        50,
        100,
    ]
    numbers = utd_stream.summarize(ACTIONS, [None, 3.0])
    assert (numbers["recognized"], numbers["median_share"], numbers["recognized_by_share"]["1.0"]) == (
        50.0,
        0.75,
        50.0,
    )
    assert utd_stream.summarize(ACTIONS, [None, None])["recognized"] == 0


def test_streams_are_of_one_subject_and_different_actions(tmp_path: Path) -> None:
    file = tmp_path / "test.csv"
    rows = [f"a{a}/a{a}_s{s}_t{t}.mp4,a{a}" for a in range(1, 6) for s in (2, 4) for t in (1, 2, 3)]
    file.write_text("\n".join(["path,label", *rows]))
    clips = utd_stream.read_clips(file)
    assert clips[4]["a3"] == ["a3/a3_s4_t1.mp4", "a3/a3_s4_t2.mp4", "a3/a3_s4_t3.mp4"]
    streams = utd_stream.drawn_streams(clips, 7, 4, seed=0)
    assert streams == utd_stream.drawn_streams(clips, 7, 4, seed=0)
    assert streams != utd_stream.drawn_streams(clips, 7, 4, seed=1)
    for stream in streams:
        assert len({label for _, label in stream}) == 4
        assert len({path.partition("_s")[2][0] for path, _ in stream}) == 1
        assert all(path.startswith(f"{label}/") for path, label in stream)
    file.write_text("path,label\nclip.mp4,wave\n")
    with pytest.raises(ValueError, match=r"test\.csv: clip\.mp4 is not named like"):
        utd_stream.read_clips(file)


def test_clips_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    for name, number in (("a.mp4", 5), ("b.mp4", 10)):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 48, "yuv420p"
            for i in range(number):
                picture = np.full((48, 32, 3), 20 * i, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    actions, frames = utd_stream.decode(tmp_path, [("a.mp4", "wave"), ("b.mp4", "clap")])
    assert [(action.label, action.begin, action.end) for action in actions] == [
        ("wave", 0.0, pytest.approx(0.5)),
        ("clap", pytest.approx(0.5), pytest.approx(1.5)),
    ]
    assert [time for _, time in frames] == pytest.approx([i / 10 for i in range(15)])
    assert frames[0][0].shape == (3, 48, 32)
    assert frames[9][0].float().mean() == pytest.approx(80, abs=3)  # the fifth of the second clip


class EverySecondFrame(FrameSteps):
    """Answers with the first pixel."""

    is_repeatable = True
    smooth_seconds = 0.0

    def __init__(self) -> None:
        self.count = 0

    @property
    def about(self) -> str:
        return "every second frame"

    def take(self, pixels: Tensor, time_seconds: float) -> Tensor | None:
        self.count += 1
        return pixels if self.count % 2 else None

    def answer(self, seen: Tensor) -> Tensor:
        return seen.flatten()[:2].double()

    def last(self) -> None:
        return None

    def reset(self) -> None:
        self.count = 0


def test_each_stream_is_followed_from_a_fresh_start() -> None:
    steps = EverySecondFrame()
    frames: Sequence[tuple[Tensor, float]] = [
        (torch.full((3, 2, 2), i, dtype=torch.uint8), float(i)) for i in range(3)
    ]
    for _ in range(2):
        followed = utd_stream.follow(steps, frames)
        assert followed.times == (0.0, 2.0)
        assert [answer.tolist() for answer in followed.plain] == [[0, 0], [2, 2]]
        assert [answer.tolist() for answer in followed.smoothed] == [[0, 0], [2, 2]]
    assert utd_stream.plotted(ACTIONS, ("wave", "clap"), followed) == [[(0.0, 0.0)], [(2.0, 2.0)]]


def test_pictures(tmp_path: Path) -> None:
    spans = [("a03_wave", 0.0, 2.0), ("a04_clap", 2.0, 6.0)]
    points = {name: [[(1.0, 0.2)], [(3.0, 0.4), (4.0, 0.9)]] for name in utd_stream.METHODS}
    found = {name: [None, 2.0] for name in utd_stream.METHODS}
    utd_stream_plots.draw_stream(spans, points, found, tmp_path / "stream.png")
    shares = {name: [0.5, 0.25] if name != "tin" else [] for name in utd_stream.METHODS}
    utd_stream_plots.draw_moments(shares, 2, tmp_path / "moments.png")
    for name in ("stream.png", "moments.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / name).stat().st_size < 200_000
    assert set(utd_stream_plots.NAMES) == set(utd_stream.METHODS)
