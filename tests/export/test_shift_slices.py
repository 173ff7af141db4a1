from __future__ import annotations

import pytest
import torch

from interlace.export.shift_slices import SlicedShift
from interlace.temporal import TemporalShift


@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
@pytest.mark.parametrize("num_segments", [1, 2, 4])
@pytest.mark.parametrize("fold_div", [2, 3, 8])
def test_it_is_the_shift_bit_for_bit(mode: str, num_segments: int, fold_div: int) -> None:
    module = TemporalShift(8, num_segments=num_segments, fold_div=fold_div, mode=mode)
    frames = torch.randn(3 * num_segments, 8, 5, 7)
    assert torch.equal(SlicedShift(module)(frames), module(frames))


def test_a_stream_goes_on_bit_for_bit() -> None:
    module = TemporalShift(8, fold_div=4, mode="causal")
    sliced, state = SlicedShift(module), (torch.zeros(3, 2, 5, 7),)
    found_state = state
    for clip in torch.randn(4, 3, 2, 8, 5, 7):
        expected, state = module.go_on(clip, state)
        found, found_state = sliced.go_on(clip, found_state)
        assert torch.equal(found, expected)
        assert torch.equal(found_state[0], state[0])
