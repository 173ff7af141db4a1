from __future__ import annotations

import pytest
import torch

from interlace.data.joined import JoinedSampling
from interlace.data.sampling import DenseSampling, SegmentSampling, sampling_from_dict

PARTS = (SegmentSampling(3), DenseSampling(2, frame_stride=4))


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "wanted"),
    [
        (12, 1, [[2, 6, 10, 2, 6]]),
        (12, 2, [[2, 6, 10, 0, 4], [0, 4, 8, 4, 8]]),
        (1, 1, [[0, 0, 0, 0, 0]]),
    ],
)
def test_clips_of_the_parts_follow_each_other(num_frames, num_clips, wanted):
    joined = JoinedSampling(PARTS)
    assert joined.num_segments == 5
    assert joined.test_indices(num_frames, num_clips) == wanted


def test_the_parts_draw_in_turn():
    drawn = JoinedSampling(PARTS).train_indices(50, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    assert drawn == [i for part in PARTS for i in part.train_indices(50, generator)]


def test_a_checkpoint_keeps_it():
    joined = JoinedSampling(PARTS)
    assert joined.to_dict() == {
        "name": "joined",
        "parts": [
            {"name": "segment", "num_segments": 3},
            {"name": "dense", "num_segments": 2, "frame_stride": 4},
        ],
    }
    assert sampling_from_dict(joined.to_dict()) == joined


def test_without_parts_there_is_no_clip():
    with pytest.raises(ValueError, match="no parts"):
        JoinedSampling(())
