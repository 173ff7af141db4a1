from __future__ import annotations

import pytest
import torch

from interlace.audiovisual.features.seconds import frames_of_seconds, num_seconds, read_seconds
from interlace.data import video
from interlace.data.decoded_clip import DecodedClip


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0.0, 1),
        (0.04, 1),
        (0.99, 1),
        (1.49, 1),
        (1.5, 2),
        (9.5, 10),
        (10.0, 10),
        (10.05, 10),
        (10.5, 11),
        (3600.2, 3600),
    ],
)
def test_number_of_seconds(duration, expected):
    assert num_seconds(duration) == expected


TABLE = {
    "one in the middle": ([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75], 2.0, 1, [[2], [6]]),
    "all": ([0.0, 0.25, 0.5, 0.75], 1.0, 4, [[0, 1, 2, 3]]),
    "more than there are": ([0.0, 0.5], 1.0, 4, [[0, 0, 1, 1]]),
    "every other": ([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75], 2.0, 2, [[1, 3], [5, 7]]),
    "a last half second": ([0.0, 0.25, 0.5, 0.75, 1.0, 1.25], 1.5, 2, [[1, 3], [4, 5]]),
    "less than half a second is left over": ([0.0, 0.25, 0.5, 0.75, 1.0], 1.25, 2, [[1, 3]]),
    "shorter than a second": ([0.0, 0.1, 0.2], 0.3, 3, [[0, 1, 2]]),
    "one frame": ([0.0], 0.04, 3, [[0, 0, 0]]),
    "a slide show": ([0.0, 2.5], 4.0, 2, [[0, 0], [0, 0], [0, 1], [1, 1]]),
    "frames bunched at the end": ([0.0, 0.9, 0.92, 0.94, 1.0, 1.5], 2.0, 2, [[0, 0], [4, 5]]),
    "a frame that is due at that very moment": ([0.0, 1 / 3, 2 / 3], 1.0, 3, [[0, 1, 2]]),
}


@pytest.mark.parametrize("name", TABLE)
def test_which_frames_stand_for_each_second(name):
    pts, duration, frames_per_second, expected = TABLE[name]
    assert frames_of_seconds(torch.tensor(pts).double(), duration, frames_per_second) == expected


def test_rounded_times_choose_the_frame_that_is_due():
    for rate in (12, 24, 30, 60):
        pts = torch.arange(rate * 7).double() / rate
        # In the middle of a part of 1 / (rate / 2) s a frame begins, at a time that is no binary fraction.
        expected = [[k * rate + 2 * i + 1 for i in range(rate // 2)] for k in range(7)]
        assert frames_of_seconds(pts, 7.0, rate // 2) == expected


class Numbered(DecodedClip):
    """25 frames a second whose pixels are their positions; remembers what was read at a time."""

    def __init__(self, num_frames: int) -> None:
        positions = torch.arange(num_frames, dtype=torch.uint8)
        super().__init__(positions[:, None, None, None].expand(-1, 3, 5, 7).contiguous())
        self.reads: list[list[int]] = []

    def frames_at(self, indices):
        self.reads.append(list(indices))
        return super().frames_at(indices)


def crop(frames):
    return frames[..., :5]


def test_frames_come_second_by_second():
    reader = Numbered(60)
    seconds = read_seconds(reader, 5, crop)
    assert reader.reads == []
    assert next(seconds)[:, 0, 0, 0].tolist() == [2, 7, 12, 17, 22]
    assert reader.reads == [[2, 7, 12, 17, 22]]  # nothing of the next second yet
    assert next(seconds)[:, 0, 0, 0].tolist() == [27, 32, 37, 42, 47]
    assert [second.shape for second in seconds] == []  # 0.4 s are left over


def test_few_full_size_frames_are_held_at_a_time():
    reader = Numbered(50)
    assert [second[:, 2, 4, 4].tolist() for second in read_seconds(reader, 25, crop)] == [
        list(range(25)),
        list(range(25, 50)),
    ]
    assert [len(read) for read in reader.reads] == [8, 8, 8, 1] * 2


def test_a_frame_that_stays_on_show_is_read_once():
    reader = Numbered(3)
    reader.pts_seconds, reader.duration_seconds = torch.tensor([0.0, 3.6, 4.1]).double(), 5.0
    seconds = torch.stack(list(read_seconds(reader, 2, crop)))
    assert seconds[:, :, 0, 0, 0].tolist() == [[0, 0], [0, 0], [0, 0], [0, 1], [2, 2]]
    assert reader.reads == [[0], [1], [2]]


def test_a_real_file(make_video, tmp_path):
    """Frame i of the video is grey at level 10 i."""
    path = make_video(tmp_path / "clip.mp4", num_frames=20, fps=8.0)
    with video.open(path) as reader:
        seconds = [
            second[:, 0, 2, 2].tolist() for second in read_seconds(reader, 4, lambda frames: frames[..., :48])
        ]
    expected = [[10, 30, 50, 70], [90, 110, 130, 150], [160, 170, 180, 190]]
    assert len(seconds) == 3
    for found, wanted in zip(seconds, expected, strict=True):
        assert found == pytest.approx(wanted, abs=4)
