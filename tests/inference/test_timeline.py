from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interlace.data import video
from interlace.data.sampling import DenseSampling, SegmentSampling
from interlace.inference.timeline import FRAMES_PER_READ, decode_forward, merge, window_indices, windows
from interlace.types import Prediction


@pytest.mark.parametrize(
    ("duration", "window", "hop", "expected"),
    [
        (0.0, 4.0, 2.0, [(0, 0)]),
        (3.0, 4.0, 2.0, [(0, 3)]),
        (4.0, 4.0, 2.0, [(0, 4)]),
        (4.5, 4.0, 2.0, [(0, 4), (0.5, 4.5)]),
        (8.0, 4.0, 2.0, [(0, 4), (2, 6), (4, 8)]),
        (9.0, 4.0, 2.0, [(0, 4), (2, 6), (4, 8), (5, 9)]),
        (9.0, 4.0, 4.0, [(0, 4), (4, 8), (5, 9)]),
        (10.0, 2.0, 5.0, [(0, 2), (5, 7), (8, 10)]),
        (0.3, 0.1, 0.1, [(0, 0.1), (0.1, 0.2), (0.2, 0.3)]),
    ],
)
def test_windows(duration: float, window: float, hop: float, expected: list[tuple[float, float]]) -> None:
    found = windows(duration, window, hop)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(st.floats(0.01, 1e4), st.floats(0.5, 20), st.floats(0.5, 20))
def test_windows_start_at_zero_end_with_the_video_and_stay_inside(
    duration: float, window: float, hop: float
) -> None:
    found = windows(duration, window, hop)
    assert found[0][0] == 0
    assert found[-1][1] == duration
    starts = [start for start, _ in found]
    assert starts == sorted(set(starts))
    assert all(0 <= start < end <= duration + 1e-6 for start, end in found)
    assert all(later - start <= hop + 1e-5 for start, later in pairwise(starts))


@pytest.mark.parametrize(("window", "hop"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_windows_refuses_what_would_never_end(window: float, hop: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        windows(9.0, window, hop)


PTS = np.array([0.0, 0.5, 1.0, 1.2, 1.4, 1.6, 1.8, 7.0, 7.5])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, 2.0, [1, 5]),  # frames 0 to 6
        (1.0, 2.0, [3, 5]),  # frames 2 to 6: a denser second
        (2.0, 4.0, [6, 6]),  # nothing begins here: frame 6 stays on show
        (7.0, 8.0, [7, 8]),
        (8.0, 8.0, [8, 8]),
    ],
)
def test_window_indices_follow_timestamps(start: float, end: float, expected: list[int]) -> None:
    assert window_indices(PTS, start, end, SegmentSampling(2)) == expected


def test_window_indices_take_a_tensor_and_another_sampling() -> None:
    assert window_indices(torch.from_numpy(PTS), 1.0, 2.0, DenseSampling(2, frame_stride=2)) == [2, 4]


class Reader:
    """Frame i is filled with i; remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def frames_at(self, indices: list[int]) -> torch.Tensor:
        self.asked.append(list(indices))
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 5, 7)


def test_decode_forward_reads_each_frame_once_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    # Windows half over each other, whose frames fall between each other's.
    clips = [[0, 2, 4, 6], [3, 5, 7, 9], [6, 8, 10, 12], [9, 9, 9, 9], [40, 60, 80, 100]]
    frames = list(decode_forward_of(reader, clips))
    assert [clip[:, 0, 0, 0].tolist() for clip in frames] == clips
    asked = [index for part in reader.asked for index in part]
    assert asked == sorted(set(asked)) == sorted({index for clip in clips for index in clip})
    assert max(len(part) for part in reader.asked) <= FRAMES_PER_READ


def decode_forward_of(reader: Reader, clips: list[list[int]]) -> list[torch.Tensor]:
    function = getattr(decode_forward, "__wrapped__", decode_forward)  # the reader here is no real one
    return list(function(reader, clips, lambda frames: frames[..., :2, :2]))


def test_decode_forward_reads_only_as_far_as_the_window_needs() -> None:
    reader = Reader()
    clips = [[10 * i, 10 * i + 5] for i in range(20)]
    function = getattr(decode_forward, "__wrapped__", decode_forward)
    first = next(iter(function(reader, clips, lambda frames: frames)))
    assert first[:, 0, 0, 0].tolist() == [0, 5]
    assert len(reader.asked) == 1


def test_decode_forward_on_a_file_equals_random_access(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=40)
    clips = [[1, 3, 5, 7], [4, 6, 8, 10], [30, 33, 36, 39]]
    with video.open(path) as reader:
        found = list(decode_forward(reader, clips, lambda frames: frames[..., 12:20, 12:20]))
    with video.open(path) as reader:
        for clip, frames in zip(clips, found, strict=True):
            assert torch.equal(frames, reader.frames_at(clip)[..., 12:20, 12:20])


def window(label: str, score: float, start: float, end: float) -> Prediction:
    return Prediction("a.mp4", ((label, score),), float(start), float(end))


def test_merge_joins_neighbours_and_cuts_in_the_middle_of_the_overlap() -> None:
    parts = [
        window("wave", 0.8, 0, 4),
        window("wave", 0.6, 2, 6),
        window("clap", 0.9, 4, 8),
        window("wave", 0.5, 6, 10),
    ]
    found = [(s.start_seconds, s.end_seconds, s.label, pytest.approx(s.score)) for s in merge(parts)]
    assert found == [(0, 5, "wave", 0.7), (5, 7, "clap", 0.9), (7, 10, "wave", 0.5)]
    assert [s.peak for s in merge(parts)] == [0.8, 0.9, 0.5]


def test_merge_without_overlap_leaves_the_gap_split_in_half() -> None:
    found = merge([window("wave", 0.8, 0, 2), window("clap", 0.6, 5, 7)])
    assert [(s.start_seconds, s.end_seconds) for s in found] == [(0, 3.5), (3.5, 7)]


def test_merge_of_nothing_and_of_a_whole_video() -> None:
    assert merge([]) == []
    with pytest.raises(ValueError, match=r"a\.mp4 is predicted as a whole"):
        merge([Prediction("a.mp4", (("wave", 0.8),))])
