"""The published arithmetic of TSM's shift: zeros, then three copied slices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from interlace.temporal import TemporalShift


def published_shift(x: Tensor, fold_div: int = 8) -> Tensor:
    """Clips (B, T, C, H, W); the first fold shows the next frame, the second the one before."""
    fold = x.shape[2] // fold_div
    out = torch.zeros_like(x)
    out[:, :-1, :fold] = x[:, 1:, :fold]
    out[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold]
    out[:, :, 2 * fold :] = x[:, :, 2 * fold :]
    return out


class PublishedShift(nn.Module):
    """Stands where ours stands; bidirectional only."""

    def __init__(self, ours: TemporalShift) -> None:
        super().__init__()
        self.num_segments = ours.num_segments
        self.fold_div = ours.fold_div

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.view(-1, self.num_segments, *frames.shape[1:])
        return published_shift(x, self.fold_div).view(frames.shape)
