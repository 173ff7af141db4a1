"""The two taps of interlace by slices of the clip, one sample and group at a time: fastest on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def forward(x: Tensor, k: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """out[t] = near[t] * x[t - k] + far[t] * x[t - k - 1] for every sample and group."""
    out = torch.zeros_like(x, dtype=near.dtype)
    for b, g, channels, distance, is_far in _taps(x, k):
        target, source = _frames(distance, x.shape[1])
        factor = (far if is_far else near)[b, target, g, None, None, None]
        out[b, target, channels].addcmul_(x[b, source, channels], factor)
    return out.to(x.dtype)


def backward(grad: Tensor, x: Tensor, k: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The adjoint of :func:`forward` applied to grad, and <grad[t], x[t - k]>, <grad[t], x[t - k - 1]>."""
    grad_x = torch.zeros_like(x, dtype=near.dtype)
    dots = torch.zeros_like(near), torch.zeros_like(far)
    for b, g, channels, distance, is_far in _taps(x, k):
        target, source = _frames(distance, x.shape[1])
        factor = (far if is_far else near)[b, target, g, None, None, None]
        grad_here = grad[b, target, channels].to(near.dtype)
        grad_x[b, source, channels].addcmul_(grad_here, factor)
        dots[is_far][b, target, g] = (grad_here * x[b, source, channels]).sum((1, 2, 3))
    return grad_x.to(x.dtype), *dots


def _taps(x: Tensor, k: Tensor) -> Iterator[tuple[int, int, slice, int, bool]]:
    """(sample, group, its channels, distance in frames, whether it is the far tap) of every tap."""
    size = x.shape[2] // k.shape[1]
    for b, distances in enumerate(k.tolist()):
        for g, distance in enumerate(distances):
            channels = slice(g * size, (g + 1) * size)
            yield b, g, channels, distance, False
            yield b, g, channels, distance + 1, True


def _frames(distance: int, num_frames: int) -> tuple[slice, slice]:
    """Target and source frames of a delay: target t shows t - distance, as far as both lie in the clip."""
    distance = max(-num_frames, min(num_frames, distance))
    return (
        slice(max(0, distance), min(num_frames, num_frames + distance)),
        slice(max(0, -distance), min(num_frames, num_frames - distance)),
    )
