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

from interlace.ops import _dispatch, _transforms


def interlace(
    x: Float[Tensor, "B T C H W"],
    offset: Float[Tensor, "B G"],
    weight: Float[Tensor, "B T G"] | None = None,
    fold: int | None = None,
) -> Float[Tensor, "B T C H W"]:
    """Delay each group of consecutive channels by its own real offset, and scale it frame by frame.

    ``out[b,t,c] = weight[b,t,g] * sum_s max(0, 1 - |t - s - offset[b,g]|) * x[b,s,c]``, ``g = c // (fold/G)``,
    for the first `fold` channels; the others pass through. One pass on the CPU and on CUDA; it never waits for
    a device.

    Args:
        x: clips of any float dtype; half precision is interpolated in float32. The memory format is kept.
        offset: displacement of each group, in frames; positive delays (frame t shows the moment t - offset).
            Its gradient at an integer is the right derivative.
        weight: factor of each target frame and group; None means 1.
        fold: number of channels that move; None means all.

    Raises:
        ValueError: the shapes do not fit each other, or x is not of a float dtype.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020; the released code's arithmetic.

    Example:
        >>> import torch
        >>> from interlace.ops import interlace
        >>> interlace(torch.ones(2, 4, 8, 5, 7), torch.tensor([[0.5, -0.5]] * 2))[0, :, 0, 0, 0]
        tensor([0.5000, 1.0000, 1.0000, 1.0000])
    """
    weight, fold = checked(x, offset, weight, fold)
    if _transforms.needs_plain_derivatives():
        return _transforms.interlace(x, offset, weight, fold)
    return _interlace(x, offset, weight, fold)


def checked(x: Tensor, offset: Tensor, weight: Tensor | None, fold: int | None) -> tuple[Tensor, int]:
    """Weight and fold with their defaults filled in; ValueError where the shapes do not fit."""
    if x.ndim != 5 or not x.is_floating_point():
        raise ValueError(f"x must be float (B, T, C, H, W), got {x.dtype} {tuple(x.shape)}")
    B, T, C = x.shape[:3]
    if offset.ndim != 2 or offset.shape[0] != B:
        raise ValueError(f"offset must be (B, G) with B={B} as in x, got {tuple(offset.shape)}")
    G = offset.shape[1]
    fold = C if fold is None else fold
    if not 0 < fold <= C:
        raise ValueError(f"fold={fold} must lie between 1 and the C={C} channels of x")
    if G == 0 or fold % G:
        raise ValueError(f"C={fold} channels that move do not divide into the G={G} groups of offset")
    if weight is None:
        weight = offset.new_ones((B, T, G))
    elif weight.shape != (B, T, G):
        raise ValueError(f"weight must be (B, T, G)={(B, T, G)}, got {tuple(weight.shape)}")
    return weight, fold


@torch.library.custom_op(
    "interlace::interlace",
    mutates_args=(),
    schema="(Tensor x, Tensor offset, Tensor weight, int fold) -> Tensor",
)
def _interlace(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    return _dispatch.forward(x, offset, weight, fold)


@torch.library.custom_op(
    "interlace::interlace_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor offset, Tensor weight, int fold, bool with_factors)"
    " -> (Tensor, Tensor, Tensor)",
)
def interlace_backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, with_factors: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, offset and weight; the last two are zeros without with_factors, which saves time."""
    grad_x, *factors = _dispatch.backward(grad, x, offset, weight, fold, with_factors=with_factors)
    grad_offset, grad_weight = factors
    if grad_offset is None or grad_weight is None:
        return grad_x, torch.zeros_like(offset), torch.zeros_like(weight)
    return grad_x, grad_offset, grad_weight


@torch.library.custom_op(
    "interlace::interlace_backward_",
    mutates_args=("grad",),
    schema="(Tensor(a!) grad, Tensor x, Tensor offset, Tensor weight, int fold, bool with_factors)"
    " -> (Tensor, Tensor)",
)
def interlace_backward_(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, with_factors: bool
) -> tuple[Tensor, Tensor]:
    """:func:`interlace_backward` that leaves the gradient of x in grad, where only what moves is touched."""
    grad_x, grad_offset, grad_weight = _dispatch.backward(
        grad, x, offset, weight, fold, with_factors=with_factors, in_place=True
    )
    if grad_x.data_ptr() != grad.data_ptr():
        grad.copy_(grad_x)
    if grad_offset is None or grad_weight is None:
        return torch.zeros_like(offset), torch.zeros_like(weight)
    return grad_offset, grad_weight


# ruff: noqa: ARG001 - the signatures below are torch's
@_interlace.register_fake
def _(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    return torch.empty_like(x)


@interlace_backward.register_fake
def _(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, with_factors: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(offset), torch.empty_like(weight)


@interlace_backward_.register_fake
def _(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, with_factors: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(offset), torch.empty_like(weight)


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    x, offset, weight, ctx.fold = inputs
    ctx.save_for_backward(x, offset, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, offset, weight = ctx.saved_tensors
    with_factors = any(ctx.needs_input_grad[1:3])
    grad_x, grad_offset, grad_weight = interlace_backward(grad, x, offset, weight, ctx.fold, with_factors)
    return grad_x, *((grad_offset, grad_weight) if with_factors else (None, None)), None


_interlace.register_autograd(_backward, setup_context=_setup_context)


# vmap: samples do not know of each other, so one more batch axis joins the batch.
@_interlace.register_vmap
def _(
    info: Any, in_dims: tuple[int | None, ...], x: Tensor, offset: Tensor, weight: Tensor, fold: int
) -> tuple[Tensor, int]:
    x, offset, weight = fold_batches(info, in_dims, x, offset, weight)
    return _interlace(x, offset, weight, fold).unflatten(0, (info.batch_size, -1)), 0


@interlace_backward.register_vmap
def _(
    info: Any, in_dims: tuple[int | None, ...], *inputs: Any
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, int, int]]:
    *tensors, fold, with_factors = inputs
    folded = fold_batches(info, in_dims, *tensors)
    grads = interlace_backward(*folded, fold, with_factors)
    split = tuple(grad.unflatten(0, (info.batch_size, -1)) for grad in grads)
    return (split[0], split[1], split[2]), (0, 0, 0)


def fold_batches(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> list[Tensor]:
    """The axis over which vmap maps, moved to the front and folded into the batch."""
    folded = []
    for tensor, axis in zip(tensors, in_dims, strict=False):
        mapped = (
            tensor.movedim(axis, 0) if axis is not None else tensor.expand(info.batch_size, *tensor.shape)
        )
        folded.append(mapped.flatten(0, 1))
    return folded
