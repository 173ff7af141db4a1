from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from interlace.ops import interlace
from interlace.ops.in_place import interlace_

B, T, C, H, W, FOLD = 2, 4, 8, 5, 7, 4


def contiguous(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def frames_innermost(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


LAYOUTS = [contiguous, channels_last, transposed, frames_innermost]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def inputs(dtype: torch.dtype, shape: tuple[int, ...] = (B, T, C, H, W)) -> tuple[Tensor, Tensor, Tensor]:
    offset = torch.tensor([[0.3, -1.75], [9.5, -1.0]])[: shape[0]]
    return torch.randn(shape).to(dtype), offset, 2 * torch.rand(shape[0], shape[1], 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fold", [2, 4, 8])
def test_equals_the_operator_and_gives_back_what_was_there(fold, layout, dtype):
    x, offset, weight = inputs(dtype)
    x = layout(x)
    before, wanted = x.clone(), interlace(x, offset, weight, fold)
    kept = interlace_(x, offset, weight, fold)
    assert torch.equal(x, wanted)
    assert torch.equal(kept, before[:, :, :fold])
    x[:, :, :fold] = kept
    assert torch.equal(x, before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1), (2, 1, 4, 1, 7), (2, 3, 4, 5, 1), (2, 5, 70, 23, 31)])
def test_sizes_of_one_and_sizes_that_divide_into_nothing(shape, layout):
    x, offset, weight = inputs(torch.float32, shape)
    x = layout(x)
    before, wanted = x.clone(), interlace(x, offset, weight, 2)
    kept = interlace_(x, offset, weight, 2)
    assert torch.equal(x, wanted)
    assert torch.equal(kept, before[:, :, :2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_nothing_is_written_beside_the_clip(layout, dtype):
    large = layout(torch.full((B + 2, T + 2, 3 * C, H, W), 99.0, dtype=dtype))
    inside = (slice(1, 1 + B), slice(1, 1 + T), slice(C, 2 * C))
    x, offset, weight = inputs(dtype)
    large[inside] = x
    wanted = large.clone()
    wanted[inside] = interlace(x, offset, weight, FOLD)
    kept = interlace_(large[inside], offset, weight, FOLD)
    assert torch.equal(large, wanted)
    assert torch.equal(kept, x[:, :, :FOLD])


def test_one_thread_and_two_give_the_same_bits():
    x, offset, weight = inputs(torch.float32, (B, T, 90, 23, 19))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(x.clone())
            interlace_(results[-1], offset, weight, 86)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fold", [2, 8])
def test_opcheck(layout, fold):
    x, offset, weight = inputs(torch.float32)
    results = opcheck(torch.ops.interlace.interlace_.default, (layout(x), offset, weight, fold))
    assert set(results.values()) == {"SUCCESS"}


def test_no_clips():
    x, offset, weight = inputs(torch.float32, (0, T, C, H, W))
    assert interlace_(x, offset, weight, FOLD).shape == (0, T, FOLD, H, W)
