from __future__ import annotations

import numpy as np
import pytest
import torch

from interlace.data import video
from interlace.data.decoded_clip import DecodedClip
from interlace.data.derived import DerivedVideo
from interlace.data.reader import VideoError

CLIP = torch.arange(5, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 6, 7)


class Counting(DecodedClip):
    """Counts what it reads."""

    def __init__(self, clip):
        super().__init__(clip)
        self.read = []

    def _read(self, wanted):
        self.read += wanted
        return super()._read(wanted)


def firsts(pictures):
    """One channel of each picture."""
    return np.concatenate([picture[..., :1] for picture in pictures], axis=-1)


def derived(frames, reach=3, **arguments):
    return DerivedVideo(frames, reach=reach, num_channels=reach, make=firsts, **arguments)


def test_a_picture_is_made_of_the_frames_from_there_on():
    reader = derived(Counting(CLIP))
    made = reader.frames_at([3, 0, 4, 3])
    assert made[:, :, 2, 5].tolist() == [[3, 4, 4], [0, 1, 2], [4, 4, 4], [3, 4, 4]]
    assert (reader.num_frames, reader.height, reader.width, reader.num_channels) == (5, 6, 7, 3)
    assert reader.frames_at([]).shape == (0, 3, 6, 7)


def test_frames_are_read_once_whoever_reads_on():
    frames = Counting(CLIP)
    reader = derived(frames)
    for i in range(5):
        reader.frames_at([i])
    assert frames.read == [0, 1, 2, 3, 4]
    assert reader.frames_at([0])[0, :, 0, 0].tolist() == [0, 1, 2]  # back to the front


def test_facts_are_those_of_the_frames(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", num_frames=9)
    with video.open(path) as plain, derived(video.open(path)) as reader:
        assert torch.equal(reader.pts_seconds, plain.pts_seconds)
        for name in ("num_frames", "fps", "duration_seconds", "height", "width", "notes", "damage", "path"):
            assert getattr(reader, name) == getattr(plain, name)


def test_short_side_is_that_of_the_pictures():
    reader = derived(DecodedClip(CLIP), short_side=3)
    assert reader.frames_at([0]).shape == (1, 3, 3, 3)
    assert (reader.height, reader.width) == (6, 7)


def test_damage_passes_through(damaged_video):
    with derived(video.open(damaged_video, on_error="skip")) as reader:
        assert reader.frames_at([0]).shape == (1, 3, 48, 64)
        assert reader.damage == ""
        assert reader.frames_at([15]).shape == (1, 3, 48, 64)
        assert reader.is_damaged
        assert "damaged" in reader.damage
        assert reader.damage in "; ".join(reader.notes)
    with (
        derived(video.open(damaged_video, on_error="raise")) as reader,
        pytest.raises(VideoError, match="cannot be decoded"),
    ):
        reader.frames_at([12])  # its second or third frame is one that is not there


def test_damaged_frames_are_those_of_the_frames(damaged_video):
    with video.open(damaged_video, on_error="skip") as plain:
        expected = plain.damaged_frames()
        notes = plain.notes
    with derived(video.open(damaged_video, on_error="skip")) as reader:
        assert reader.damaged_frames() == expected != []
        assert reader.notes == notes


def test_closing_closes_the_frames(tmp_path, make_video):
    frames = video.open(make_video(tmp_path / "a.mp4", num_frames=9))
    derived(frames).close()
    with pytest.raises((ValueError, OSError, AssertionError, AttributeError)):
        frames.frames_at([3])
