"""Time enters and leaves the batch axis in one place."""

from __future__ import annotations

import pytest
import torch

from interlace.layout import clip_to_frames, frames_to_clip


def test_time_runs_fastest() -> None:
    clip = torch.arange(2 * 4)[:, None, None, None].expand(8, 3, 5, 7).reshape(2, 4, 3, 5, 7)
    frames = clip_to_frames(clip)
    assert frames.shape == (8, 3, 5, 7)
    assert frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert frames[1 * 4 + 2, 0, 0, 0] == clip[1, 2, 0, 0, 0]


def test_the_way_back_is_the_inverse() -> None:
    clip = torch.randn(2, 4, 3, 5, 7)
    assert torch.equal(frames_to_clip(clip_to_frames(clip), num_segments=4), clip)


def test_nothing_is_copied() -> None:
    clip = torch.randn(2, 4, 3, 5, 7)
    assert clip_to_frames(clip).data_ptr() == clip.data_ptr()


def test_frames_that_are_no_whole_clips_are_an_error() -> None:
    with pytest.raises(ValueError, match="10 frames do not divide into clips of num_segments=4"):
        frames_to_clip(torch.zeros(10, 3, 5, 7), num_segments=4)
