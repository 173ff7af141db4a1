"""The operators on tensors of any size, stride and offset, against a loop that is written as the formula is."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from interlace.ops import interlace, look_back, temporal_shift

DTYPES = (torch.float64, torch.float32)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}
EXTREME = (0.0, -0.0, 1.0, -1.0, 3.0, 1e-7, -1e-7, 0.9999999, 1e6, -1e30, 3.4e38, math.inf, -math.inf)

sizes = st.fixed_dictionaries(
    {
        "B": st.integers(0, 3),
        "T": st.integers(1, 6),
        "G": st.integers(1, 3),
        "wide": st.integers(1, 5),  # channels of a group
        "still": st.integers(0, 3),  # channels that do not move
        "H": st.integers(0, 3),
        "W": st.integers(1, 9),
    }
)
strides = st.sampled_from(["contiguous", "channels last", "every second", "transposed", "shifted"])
seeds = st.integers(0, 2**31)


def made(shape: tuple[int, ...], stride: str, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Random numbers that lie in memory in one of several ways."""

    def randn(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=generator, dtype=torch.float64).to(dtype)

    B, T, C, H, W = shape
    if stride == "channels last":
        return randn(B, T, H, W, C).permute(0, 1, 4, 2, 3)
    if stride == "every second":
        return randn(B, 2 * T, C, H, 2 * W)[:, ::2, :, :, 1::2]
    if stride == "transposed":
        return randn(T, B, C, W, H).permute(1, 0, 2, 4, 3)
    if stride == "shifted":
        return randn(B * T * C * H * W + 1)[1:].view(shape)
    return randn(*shape)


def offsets(B: int, G: int, dtype: torch.dtype, extremes: list[float], generator: torch.Generator) -> Tensor:
    """Some frames either way; the first ones as told."""
    offset = 5 * torch.randn(B, G, generator=generator, dtype=torch.float64)
    flat = offset.flatten()
    for place, value in enumerate(extremes[: len(flat)]):
        flat[place] = value
    return flat.view(B, G).to(dtype)


def delayed(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """The formula, a frame and a channel at a time, in float64."""
    x, offset, weight = x.double(), offset.double(), weight.double()
    out = x.clone()
    B, T = x.shape[:2]
    for b in range(B):
        for c in range(fold):
            g = c // (fold // offset.shape[1])
            d = float(offset[b, g])
            for t in range(T):
                total = torch.zeros_like(x[b, t, c])
                for s in range(T):
                    total += max(0.0, 1 - abs(t - s - d)) * x[b, s, c]
                out[b, t, c] = weight[b, t, g] * total
    return out


def case(size: dict[str, int], stride: str, dtype: torch.dtype, extremes: list[float], seed: int):
    generator = torch.Generator().manual_seed(seed)
    B, T, G, fold = size["B"], size["T"], size["G"], size["G"] * size["wide"]
    x = made((B, T, fold + size["still"], size["H"], size["W"]), stride, dtype, generator)
    offset = offsets(B, G, dtype, extremes, generator)
    weight = torch.randn(B, T, G, generator=generator, dtype=torch.float64).to(dtype)
    return x, offset, weight, fold


cases = {
    "size": sizes,
    "stride": strides,
    "dtype": st.sampled_from(DTYPES),
    "extremes": st.lists(st.sampled_from(EXTREME), max_size=4),
    "seed": seeds,
}


def close(a: Tensor, b: Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(a.double(), b.double(), rtol=TOLERANCE[dtype], atol=20 * TOLERANCE[dtype])


def test_interlace_is_the_formula(for_all) -> None:
    def holds(**drawn) -> None:
        x, offset, weight, fold = case(**drawn)
        out = interlace(x, offset, weight, fold)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        close(out, delayed(x, offset, weight, fold), x.dtype)
        assert torch.equal(out[:, :, fold:], x[:, :, fold:])

    for_all(holds, **cases)


def test_the_backward_is_the_adjoint(for_all) -> None:
    """<g, S x> = <S' g, x>, whatever the strides of g."""

    def holds(**drawn) -> None:
        x, offset, weight, fold = case(**drawn)
        g = made(tuple(x.shape), drawn["stride"], x.dtype, torch.Generator().manual_seed(drawn["seed"] + 1))
        leaf = x.clone().requires_grad_()
        out = interlace(leaf, offset, weight, fold)
        back = torch.autograd.grad(out, leaf, g)[0]
        out = out.detach()
        left, right = (g.double() * out.double()).sum(), (back.double() * x.double()).sum()
        scale = 1 + (g.double() * out.double()).abs().sum()
        assert abs(float(left - right)) < 4 * TOLERANCE[x.dtype] * float(scale)

    for_all(holds, **cases)


def test_interlace_is_linear(for_all) -> None:
    def holds(factor: float, **drawn) -> None:
        x, offset, weight, fold = case(**drawn)
        y = made(tuple(x.shape), drawn["stride"], x.dtype, torch.Generator().manual_seed(drawn["seed"] + 1))
        together = interlace(x + factor * y, offset, weight, fold)
        apart = interlace(x, offset, weight, fold) + factor * interlace(y, offset, weight, fold)
        close(together, apart, x.dtype)

    for_all(holds, factor=st.floats(-2, 2), **cases)


def test_gradients_of_offset_and_weight_are_those_of_the_formula(for_all) -> None:
    def holds(size: dict[str, int], stride: str, seed: int) -> None:
        x, offset, weight, fold = case(size, stride, torch.float64, [], seed)
        g = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        found = [leaf.clone().requires_grad_() for leaf in (offset, weight)]
        wanted = [leaf.clone().requires_grad_() for leaf in (offset, weight)]
        T, G = x.shape[1], offset.shape[1]
        t = torch.arange(T, dtype=torch.float64)
        hat = (1 - (t[:, None] - t - wanted[0][..., None, None]).abs()).clamp(min=0)
        moved = torch.einsum(
            "btg,bgts,bsgchw->btgchw", wanted[1], hat, x[:, :, :fold].unflatten(2, (G, -1))
        ).flatten(2, 3)
        for got, expected in zip(
            torch.autograd.grad(interlace(x, *found, fold), found, g),
            torch.autograd.grad(moved, wanted, g[:, :, :fold]),
            strict=True,
        ):
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)

    for_all(holds, size=sizes, stride=strides, seed=seeds)


@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
def test_whole_frames_are_the_shift_bit_for_bit(for_all, mode: str) -> None:
    def holds(size: dict[str, int], stride: str, dtype: torch.dtype, div: int, seed: int) -> None:
        B, T, C = size["B"], size["T"], 2 * size["G"] + size["still"]
        x = made((B, T, C, size["H"], size["W"]), stride, dtype, torch.Generator().manual_seed(seed))
        div = min(div, C)
        fold = C // div
        whole = torch.tensor([[-1.0, 1.0] if mode == "bidirectional" else [1.0]], dtype=dtype).expand(B, -1)
        shifted = temporal_shift(x, div, mode)
        assert torch.equal(shifted, interlace(x, whole, None, whole.shape[1] * fold))
        assert torch.equal(shifted[:, :, whole.shape[1] * fold :], x[:, :, whole.shape[1] * fold :])

    for_all(
        holds, size=sizes, stride=strides, dtype=st.sampled_from(DTYPES), div=st.integers(2, 8), seed=seeds
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_offset_that_is_no_number_stays_visible_in_its_own_group(dtype: torch.dtype) -> None:
    x = torch.ones(2, 4, 6, 5, 7, dtype=dtype)
    offset = torch.tensor([[0.5, math.nan, 0.0]] * 2, dtype=dtype)
    out = interlace(x, offset)
    assert out[:, :, 2:4].isnan().all()
    assert not out[:, :, :2].isnan().any()
    assert torch.equal(out[:, :, 4:], x[:, :, 4:])


def test_look_back_is_the_formula(for_all) -> None:
    def holds(
        size: dict[str, int], stride: str, dtype: torch.dtype, reach: int, whole: bool, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        B, T, G, F = size["B"], size["T"], size["G"], size["G"] * size["wide"]
        x = made((B, T, F, size["H"], size["W"]), stride, dtype, generator)
        past = [torch.randn(B, F, size["H"], size["W"], generator=generator).to(dtype) for _ in range(reach)]
        offset = (torch.rand(B, T, G, generator=generator) * reach).to(dtype)
        offset = offset.round() if whole else offset
        weight = torch.randn(B, T, G, generator=generator).to(dtype)
        out = look_back(x, past, offset, weight)
        before = torch.cat([torch.stack(past[::-1], 1), x], 1).double()
        wanted = torch.zeros_like(out, dtype=torch.float64)
        for t in range(T):
            for g in range(G):
                group = slice(g * size["wide"], (g + 1) * size["wide"])
                for s in range(reach + T):
                    hat = (1 - (t + reach - s - offset[:, t, g].double()).abs()).clamp(min=0)
                    factor = (weight[:, t, g].double() * hat).view(-1, 1, 1, 1)
                    wanted[:, t, group] += factor * before[:, s, group]
        close(out, wanted, dtype)

    for_all(
        holds,
        size=sizes,
        stride=strides,
        dtype=st.sampled_from(DTYPES),
        reach=st.integers(1, 4),
        whole=st.booleans(),
        seed=seeds,
    )
