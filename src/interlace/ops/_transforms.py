"""Interlace in differentiable torch, for what kernels cannot: forward-mode derivatives and transforms of functions.

A module is one T x T matrix for each sample and group. Its entries are the two taps, so that the derivative by an
integer offset is the right one here too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed() -> bool:
    """Whether torch.func (grad, jvp, vmap, ...) runs this."""
    return torch._C._are_functorch_transforms_active()


def needs_plain_derivatives() -> bool:
    """Whether a derivative is taken that an operator with an explicit backward does not have."""
    if forward_ad._current_level >= 0:
        return True
    stack = torch._C._functorch.get_interpreter_stack() if is_transformed() else None
    vmap = torch._C._functorch.TransformType.Vmap
    return any(level.key() != vmap for level in stack or ())


def interlace(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """out[t] = sum_s matrix[t, s] * x[s] for each sample and group of the first `fold` channels."""
    moved = x[:, :, :fold].unflatten(2, (offset.shape[1], -1))
    out = torch.einsum("bgts,bsgchw->btgchw", _matrix(offset, weight).to(x.dtype), moved).flatten(2, 3)
    return out if fold == x.shape[2] else torch.cat([out, x[:, :, fold:]], 2)


def _matrix(offset: Tensor, weight: Tensor) -> Tensor:
    """(B, G, T, T): row t has 1 - phi at s = t - k and phi at s = t - k - 1, times the weight of t."""
    T = weight.shape[1]
    k = offset.detach().floor().nan_to_num(0.0).clamp(-T - 1, T)[..., None, None]
    phi = offset[..., None, None] - k
    phi = torch.where(phi.detach().abs() > 1, 0.0, phi)  # nothing of the clip is left
    t = torch.arange(T, device=offset.device)
    delay = t[:, None] - t
    taps = torch.where(delay == k, 1 - phi, 0.0) + torch.where(delay == k + 1, phi, 0.0)
    return weight.transpose(1, 2)[..., None] * taps
