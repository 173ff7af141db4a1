from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor

from interlace.ops import interlace
from interlace.ops.pool import describe

B, T, C, H, W, FOLD = 2, 4, 8, 5, 7, 4


def plain(x: Tensor, fold: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return x, x[:, :, :fold].mean((-2, -1), dtype=dtype)


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def test_the_mean_of_each_moved_channel_in_each_frame():
    x = torch.arange(2.0 * 3 * 4).reshape(1, 2, 3, 2, 2)
    same, z = describe(x, 2)
    assert z.tolist() == [[[1.5, 5.5], [13.5, 17.5]]]
    assert torch.equal(same, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_half_precision_is_averaged_in_float32(dtype):
    x = torch.rand(B, T, C, H, W).to(dtype)
    for asked in (x, x.clone().requires_grad_()):
        _, z = describe(asked, FOLD)
        assert z.dtype == torch.float32
        torch.testing.assert_close(z.double(), x.double()[:, :, :FOLD].mean((-2, -1)), atol=1e-6, rtol=1e-6)


def use(function, x: Tensor, *, shortcut: bool) -> Tensor:
    """What TemporalInterlace does with it: offsets and weights from z, and then the clip is interlaced."""
    clip, z = function(x, FOLD, torch.promote_types(x.dtype, torch.float32))
    offset, weight = 3 * z.mean(1)[:, :2].tanh(), z[:, :, :2].exp()
    out = interlace(clip, offset.to(weight.dtype), weight, FOLD)
    return out + 2 * x if shortcut else out


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shortcut", [False, True])
def test_the_gradient_equals_that_of_the_plain_form(shortcut, dtype, layout):
    x = layout(torch.randn(B, T, C, H, W).to(dtype)).requires_grad_()
    out, wanted = (use(function, x, shortcut=shortcut) for function in (describe, plain))
    assert torch.equal(out, wanted)
    grad = torch.randn_like(out)
    before = grad.clone()
    got = torch.autograd.grad(out, x, grad)
    wanted = torch.autograd.grad(wanted, x, grad)
    # Sums of three in bfloat16 differ with their order.
    torch.testing.assert_close(
        got, wanted, **({"atol": 0.02, "rtol": 0.02} if dtype == torch.bfloat16 else {})
    )
    assert torch.equal(grad, before)


def test_two_modules_on_the_same_clip():
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    got, wanted = (
        torch.autograd.grad((use(f, x, shortcut=True) * use(f, x, shortcut=False)).sum(), x)
        for f in (describe, plain)
    )
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_the_descriptor_alone():
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    got, wanted = (torch.autograd.grad(f(x, FOLD)[1].square().sum(), x) for f in (describe, plain))
    torch.testing.assert_close(got, wanted)


def test_the_clip_alone():
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    clip, _ = describe(x, FOLD)
    (grad,) = torch.autograd.grad(interlace(clip, torch.ones(B, 2), fold=FOLD).sum(), x)
    assert grad.sum() == B * C * H * W * T - B * FOLD * H * W


def test_without_a_gradient_nothing_is_recorded():
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    with torch.no_grad():
        clip, z = describe(x, FOLD)
    assert clip is x
    assert not z.requires_grad


def test_compiles_as_one_graph():
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    function = inspect.unwrap(describe)
    compiled = torch.compile(lambda x: function(x, FOLD), fullgraph=True, backend="aot_eager")
    got, wanted = (
        torch.autograd.grad(f[0].sum() + f[1].square().sum(), x) for f in (compiled(x), plain(x, FOLD))
    )
    torch.testing.assert_close(got, wanted)
