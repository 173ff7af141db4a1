"""Interlace by its definition: a T x T matrix for each sample and group. No trick, so a reference for values."""

from __future__ import annotations

import torch
from torch import Tensor


def hat_interlace(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """out[t] = weight[t] * sum_s max(0, 1 - |t - s - offset|) * x[s] in the fold; the rest is passed through."""
    G, T = offset.shape[1], x.shape[1]
    t = torch.arange(T, dtype=offset.dtype, device=x.device)
    hat = (1 - (t[:, None] - t - offset[..., None, None]).abs()).clamp(min=0)  # (B, G, T, T)
    matrix = hat * weight.transpose(1, 2)[..., None]
    u = x[:, :, :fold].unflatten(2, (G, -1))
    moved = torch.einsum("bgts,bsgchw->btgchw", matrix.to(x.dtype), u).flatten(2, 3)
    return torch.cat([moved, x[:, :, fold:]], 2)
