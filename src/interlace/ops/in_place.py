"""Interlace within a tensor, for optimized networks: what does not move is neither copied nor read."""

from __future__ import annotations

import torch
from torch import Tensor

from interlace.ops import _cpu, _dispatch


@torch.library.custom_op(
    "interlace::interlace_",
    mutates_args=("x",),
    schema="(Tensor(a!) x, Tensor offset, Tensor weight, int fold) -> Tensor",
)
def interlace_(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """As :func:`interlace.ops.interlace`, into x. Returns its first `fold` channels as they were, to put back.

    Args:
        x: clips (B, T, C, H, W); no gradient flows through this.
        offset: (B, G), in frames.
        weight: (B, T, G).
        fold: number of channels that move.
    """
    kept = _cpu.in_place(x, offset, weight, fold) if _cpu.supports(x) else None
    if kept is None:
        kept = x[:, :, :fold].clone()
        x[:, :, :fold] = _dispatch.forward(kept, offset, weight, fold)
    return kept


@interlace_.register_fake
def _(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:  # noqa: ARG001 - the signature is torch's
    return torch.empty_like(x[:, :, :fold])
