"""Interlace: move groups of channels along time by real offsets (TIN, equation 4).

With k = floor(offset) and phi = offset - k the hat function of the definition has two non-zero taps,

    out[t] = weight[t] * ((1 - phi) * x[t - k] + phi * x[t - k - 1]),

frames outside the clip being zero. Below are these two taps, their adjoint, and the derivative by phi.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.ops import _index, _slices


def interlace(
    x: Float[Tensor, "B T C H W"],
    offset: Float[Tensor, "B G"],
    weight: Float[Tensor, "B T G"] | None = None,
) -> Float[Tensor, "B T C H W"]:
    """Delay each group of consecutive channels by its own real offset, and scale it frame by frame.

    ``out[b,t,c] = weight[b,t,g] * sum_s max(0, 1 - |t - s - offset[b,g]|) * x[b,s,c]``, ``g = c // (C/G)``.

    Args:
        x: clips of any float dtype; half precision is interpolated in float32. The memory format is kept.
        offset: displacement of each group, in frames; positive delays (frame t shows the moment t - offset).
            Its gradient at an integer is the right derivative.
        weight: factor of each target frame and group; None means 1.

    Raises:
        ValueError: the shapes do not fit each other, or x is not of a float dtype.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020; the released code's arithmetic.

    Example:
        >>> import torch
        >>> from interlace.ops import interlace
        >>> interlace(torch.ones(2, 4, 8, 5, 7), torch.tensor([[0.5, -0.5]] * 2))[0, :, 0, 0, 0]
        tensor([0.5000, 1.0000, 1.0000, 1.0000])
    """
    if x.ndim != 5 or not x.is_floating_point():
        raise ValueError(f"x must be float (B, T, C, H, W), got {x.dtype} {tuple(x.shape)}")
    B, T, C = x.shape[:3]
    if offset.ndim != 2 or offset.shape[0] != B:
        raise ValueError(f"offset must be (B, G) with B={B} as in x, got {tuple(offset.shape)}")
    G = offset.shape[1]
    if G == 0 or C % G:
        raise ValueError(f"C={C} channels of x do not divide into the G={G} groups of offset")
    if weight is None:
        weight = offset.new_ones((B, T, G))
    elif weight.shape != (B, T, G):
        raise ValueError(f"weight must be (B, T, G)={(B, T, G)}, got {tuple(weight.shape)}")
    return _interlace(x, offset, weight)


# Two implementations of the same pair of functions. By index: any device, and it never asks the host for an
# offset, so it never synchronises. By slices: on the CPU reading offsets is free, and slices are faster (in
# channels-last up to 8 times).
@torch.library.custom_op(
    "interlace::interlace", mutates_args=(), schema="(Tensor x, Tensor offset, Tensor weight) -> Tensor"
)
def _interlace(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    k, _, near, far = _taps(offset, weight, x.dtype)
    return (_slices if x.is_cpu else _index).forward(x, k, near, far)


@torch.library.custom_op(
    "interlace::interlace_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor offset, Tensor weight) -> (Tensor, Tensor, Tensor)",
)
def _interlace_backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    k, phi, near, far = _taps(offset, weight, x.dtype)
    # The inner products (B, T, G) of the gradient with the two frames that each target shows.
    grad_x, dot_near, dot_far = (_slices if x.is_cpu else _index).backward(grad, x, k, near, far)
    grad_offset = (weight * (dot_far - dot_near)).sum(1)  # at an integer this is the right derivative
    grad_weight = (1 - phi)[:, None] * dot_near + phi[:, None] * dot_far
    return grad_x, grad_offset.to(offset.dtype), grad_weight.to(weight.dtype)


def _taps(offset: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Integers k (B, G), phi (B, G), and the factors (B, T, G) of the frames t - k and t - k - 1."""
    work_dtype = torch.promote_types(dtype, torch.float32)
    offset, weight = offset.to(work_dtype), weight.to(work_dtype)
    # From T frames on nothing of the clip is left, so k may stop there; NaN stays visible through phi.
    T = weight.shape[1]
    k = offset.floor().nan_to_num(0.0).clamp(-T - 1, T)
    phi = offset - k
    return k.long(), phi, weight * (1 - phi)[:, None], weight * phi[:, None]


# ruff: noqa: ARG001 - the signatures below are torch's
@_interlace.register_fake
def _(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(x)


@_interlace_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(offset), torch.empty_like(weight)


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, offset, weight = ctx.saved_tensors
    return _interlace_backward(grad, x, offset, weight)


_interlace.register_autograd(_backward, setup_context=_setup_context)
