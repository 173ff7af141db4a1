from __future__ import annotations

import pytest
import torch

from interlace.ops import temporal_shift
from interlace.temporal import TemporalShift


@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
def test_shifts_within_each_clip(mode):
    frames = torch.randn(8, 6, 5, 7)
    out = TemporalShift(6, num_segments=4, fold_div=3, mode=mode)(frames)
    assert torch.equal(out[4:], temporal_shift(frames[None, 4:], 3, mode)[0])
    assert torch.equal(out[:4], temporal_shift(frames[None, :4], 3, mode)[0])


def test_has_no_parameters():
    assert TemporalShift(16).state_dict() == {}


def test_too_few_channels_are_named():
    with pytest.raises(ValueError, match="6 channels // fold_div=8"):
        TemporalShift(6)


def test_frames_that_do_not_make_clips_are_named():
    with pytest.raises(ValueError, match=r"9 frames .* num_segments=4"):
        TemporalShift(8, num_segments=4)(torch.zeros(9, 8, 2, 3))
