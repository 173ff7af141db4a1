from __future__ import annotations

import pytest
import torch

from interlace.ops import interlace, temporal_shift
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fold_div": 1}, "fold_div=1 shifts more channels"),
        ({"fold_div": 0, "mode": "causal"}, "fold_div=0 shifts more channels"),
        ({"fold_div": -3}, "fold_div=-3 shifts more channels"),
    ],
)
def test_too_many_channels_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemporalShift(6, **arguments)


def test_causal_may_shift_every_channel():
    assert TemporalShift(6, num_segments=4, fold_div=1, mode="causal")(torch.ones(4, 6, 2, 3))[0].sum() == 0


def test_print_shows_the_numbers():
    shown = str(TemporalShift(6, num_segments=4, fold_div=3, mode="causal"))
    assert shown == "TemporalShift(6, num_segments=4, fold_div=3, mode='causal')"


def test_frames_that_do_not_make_clips_are_named():
    with pytest.raises(ValueError, match=r"9 frames .* num_segments=4"):
        TemporalShift(8, num_segments=4)(torch.zeros(9, 8, 2, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
@pytest.mark.parametrize("fold_div", [2, 3, 8])
def test_displacement_says_what_forward_does_bit_for_bit(fold_div, mode, layout, dtype):
    module = TemporalShift(8, num_segments=4, fold_div=fold_div, mode=mode)
    x = torch.randn(8, 8, 5, 7).to(dtype, memory_format=layout).requires_grad_()
    displacement = module.displacement(x)
    out, wanted = interlace(*displacement).flatten(0, 1), module(x)
    assert torch.equal(out, wanted)
    grad = torch.randn_like(out)
    assert torch.equal(*(torch.autograd.grad(a, x, grad)[0] for a in (out, wanted)))
    assert displacement.weight is None


def test_displacement_of_a_module_in_half_precision():
    module = TemporalShift(8, num_segments=4).bfloat16()
    x = torch.randn(8, 8, 5, 7).bfloat16()
    assert torch.equal(interlace(*module.displacement(x)).flatten(0, 1), module(x))


def test_displacement_does_not_hang_on_memory_that_is_filled_later():
    with torch.device("meta"):
        module = TemporalShift(8, num_segments=4)
    module = module.to_empty(device="cpu")
    assert module.displacement(torch.zeros(8, 8, 5, 7)).offset.tolist() == [[-1, 1]] * 2
    assert list(module.buffers()) == [] or all(b.isfinite().all() for b in module.buffers())
