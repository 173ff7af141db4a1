"""The two taps of interlace by indexing, all samples and groups at once: any device, no synchronisation."""

from __future__ import annotations

import torch
from torch import Tensor


def forward(x: Tensor, k: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """out[t] = near[t] * x[t - k] + far[t] * x[t - k - 1] for every sample and group."""
    source = _frame_numbers(near) - k[:, None]
    out = _pick(x, source, near) + _pick(x, source - 1, far)
    return torch.empty_like(x).copy_(out.flatten(2, 3))


def backward(grad: Tensor, x: Tensor, k: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The adjoint of :func:`forward` applied to grad, and <grad[t], x[t - k]>, <grad[t], x[t - k - 1]>."""
    T, G = near.shape[1:]
    # Frame s of x went to the targets s + k and s + k + 1, with the factors of those targets.
    target = _frame_numbers(near) + k[:, None]
    near_there = near.gather(1, target.clamp(0, T - 1))
    far_there = far.gather(1, (target + 1).clamp(0, T - 1))
    grad_x = _pick(grad, target, near_there) + _pick(grad, target + 1, far_there)
    source, ones = _frame_numbers(near) - k[:, None], torch.ones_like(near)
    grad_groups = grad.unflatten(2, (G, -1))
    dot_near = (grad_groups * _pick(x, source, ones)).sum((-3, -2, -1))
    dot_far = (grad_groups * _pick(x, source - 1, ones)).sum((-3, -2, -1))
    return torch.empty_like(x).copy_(grad_x.flatten(2, 3)), dot_near, dot_far


def _frame_numbers(factor: Tensor) -> Tensor:
    """0 .. T-1 as (T, 1)."""
    return torch.arange(factor.shape[1], device=factor.device)[:, None]


def _pick(x: Tensor, frame: Tensor, factor: Tensor) -> Tensor:
    """factor[b,t,g] * x[b, frame[b,t,g], group g] as (B, T, G, C/G, H, W); zero outside the clip."""
    B, T, G = frame.shape
    sample = torch.arange(B, device=x.device)[:, None, None]
    group = torch.arange(G, device=x.device)
    inside = (frame >= 0) & (frame < T)
    factor = torch.where(inside, factor, 0.0)
    picked = x.unflatten(2, (G, -1))[sample, frame.clamp(0, T - 1), group]
    return picked * factor[..., None, None, None]
