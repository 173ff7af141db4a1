from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import opcheck

from interlace.ops import _cpu, interlace
from interlace.ops.packed_conv import can_pack, pack, packed_conv1x1

B, T, C, H, W, K, FOLD = 2, 4, 14, 5, 7, 48, 6


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    x, kernel = channels_last(torch.randn(B, T, C, H, W)).to(dtype), torch.randn(K, C, 1, 1).to(dtype)
    if not can_pack(x, FOLD, kernel):
        pytest.skip(f"this processor, or the build, has no kernel for {dtype}")
    offset = torch.tensor([[0.3, -1.75], [9.5, 1.0]])
    return x, offset, 2 * torch.rand(B, T, 2), kernel, torch.randn(K)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("limits", [(None, None), (0.0, None), (0.0, 6.0), (None, 1.5)])
def test_equals_interlace_then_convolve_then_cut(limits, dtype):
    x, offset, weight, kernel, bias = inputs(dtype)
    for added in (bias, None):
        out = packed_conv1x1(x, offset, weight, FOLD, pack(kernel), added, *limits)
        moved = interlace(x.double(), offset.double(), weight.double(), FOLD).flatten(0, 1)
        exact = F.conv2d(moved, kernel.double(), None if added is None else added.double())
        exact = exact if limits == (None, None) else exact.clamp(*limits)
        tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
        torch.testing.assert_close(out.flatten(0, 1).double(), exact, atol=tolerance * 10, rtol=tolerance)
        assert out.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_slice_of_channels(dtype):
    x, offset, weight, kernel, bias = inputs(dtype)
    part = channels_last(torch.cat([x + 1, x, x], 2))[:, :, C : 2 * C]
    assert can_pack(part, FOLD, kernel)
    arguments = offset, weight, FOLD, pack(kernel), bias, None, None
    assert torch.equal(packed_conv1x1(part, *arguments), packed_conv1x1(x, *arguments))


def test_what_cannot_be_packed():
    x, *_, kernel, _ = inputs(torch.float32)
    assert not can_pack(x.contiguous(), FOLD, kernel)
    assert not can_pack(x, FOLD, kernel.double())
    assert not can_pack(x, FOLD, kernel[:7])
    assert not can_pack(x.double(), FOLD, kernel.double())
    assert not can_pack(x[:, :1].expand(x.shape), FOLD, kernel)
    assert not can_pack(x[..., :1].expand(x.shape), FOLD, kernel)


def test_opcheck():
    if not _cpu.supports(torch.zeros(1)):
        pytest.skip("the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1")
    x, offset, weight, kernel, bias = inputs(torch.float32)
    operator = torch.ops.interlace.packed_conv1x1.default
    results = opcheck(operator, (x, offset, weight, FOLD, pack(kernel), bias, 0.0, None))
    assert set(results.values()) == {"SUCCESS"}
