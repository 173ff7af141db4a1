from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from interlace.ops import interlace, look_back
from interlace.ops.look_back import delayed, latest

B, T, F, H, W, G, R = 2, 5, 6, 3, 4, 2, 3


def definition(x: Tensor, past: list[Tensor], offset: Tensor, weight: Tensor) -> Tensor:
    """The sum of the definition, term by term."""
    frames = {t: x[:, t] for t in range(T)} | {-1 - ago: frame for ago, frame in enumerate(past)}
    out = torch.zeros_like(x)
    for b in range(B):
        for t in range(T):
            for c in range(F):
                shift, factor = float(offset[b, t, c // (F // G)]), float(weight[b, t, c // (F // G)])
                for s, frame in frames.items():
                    out[b, t, c] += factor * max(0.0, 1 - abs(t - s - shift)) * frame[b, c]
    return out


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    x = torch.randn(B, T, F, H, W, dtype=dtype)
    past = [torch.randn(B, F, H, W, dtype=dtype) for _ in range(R)]
    return x, past, R * torch.rand(B, T, G).to(dtype), 2 * torch.rand(B, T, G).to(dtype)


def test_is_the_sum_of_the_definition():
    x, past, offset, weight = inputs()
    offset[0, :, 0] = torch.tensor([0.0, 1.0, 2.0, 3.0, 2.5])  # whole frames, and the end of the range
    torch.testing.assert_close(
        look_back(x, past, offset, weight), definition(x, past, offset, weight), atol=1e-12, rtol=0
    )


def test_one_offset_for_the_clip_is_interlace():
    x, _, _, weight = inputs()
    offset = torch.tensor([[0.3, 1.75], [2.0, 0.5]], dtype=torch.float64)
    nothing = [torch.zeros(B, F, H, W, dtype=torch.float64)] * R
    torch.testing.assert_close(
        look_back(x, nothing, offset[:, None].expand(B, T, G), weight), interlace(x, offset, weight)
    )


def test_a_clip_in_pieces_is_the_clip():
    x, past, offset, weight = inputs(torch.float32)
    whole = look_back(x, past, offset, weight)
    pieces, before = [], tuple(past)
    for first, end in ((0, 1), (1, 2), (2, 5)):
        part = x[:, first:end]
        pieces.append(look_back(part, before, offset[:, first:end], weight[:, first:end]))
        before = latest(part, before)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    assert all(torch.equal(frame, x[:, T - 1 - ago]) for ago, frame in enumerate(before))


def test_gradients():
    x, past, offset, weight = inputs()
    arguments = [tensor.requires_grad_() for tensor in (x[:, :3, :, :2, :2].clone(), offset[:, :3].clone())]
    small = [frame[:, :, :2, :2] for frame in past]
    assert torch.autograd.gradcheck(lambda a, b: look_back(a, small, b, weight[:, :3]), arguments)


def test_the_gradient_of_a_whole_offset_is_the_right_derivative():
    x = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1, 1)
    offset = torch.ones(1, 3, 1, requires_grad=True)
    look_back(x, [torch.zeros(1, 1, 1, 1)] * 2, offset, torch.ones(1, 3, 1)).sum().backward()
    # Towards larger offsets, frame t shows less of x[t - 1] and more of x[t - 2].
    assert offset.grad.flatten().tolist() == [0.0, -1.0, -1.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_interpolated_in_float32(dtype):
    x, past, offset, weight = inputs(torch.float32)
    out = look_back(x.to(dtype), [frame.to(dtype) for frame in past], offset, weight)
    exact = look_back(x.to(dtype).float(), [frame.to(dtype).float() for frame in past], offset, weight)
    assert out.dtype == dtype
    assert torch.equal(out, exact.to(dtype))


def test_delayed_by_more_than_the_clip_has_frames():
    x, past, *_ = inputs()
    assert torch.equal(delayed(x[:, :2], past, 3), torch.stack([past[2], past[1]], 1))


def test_channels_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="6 channels do not divide into 4 groups"):
        look_back(torch.zeros(1, 2, 6, 1, 1), [], torch.zeros(1, 2, 4), torch.ones(1, 2, 4))


def test_a_nan_is_not_hidden():
    x, past, offset, weight = inputs(torch.float32)
    offset[0, 1, 0] = math.nan
    assert look_back(x, past, offset, weight)[0, 1, 0].isnan().all()
