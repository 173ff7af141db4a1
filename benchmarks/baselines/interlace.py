"""The published arithmetic of TIN's `TemporalDeform` in plain torch: same results as ours, its memory traffic.

The shift by whole frames is a kernel in the published code: it fills its output with zeros and copies the frames
that stay in the clip. Here slices do the same for each sample and group, with offsets read to the host, as there.
On the CPU that costs a few microseconds a slice; on a GPU it is many launches where the kernel is one, so there
these times are no statement about the published kernel. It knew float32 only; for other inputs all stays in theirs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlace.temporal import TemporalInterlace


class WholeFrameShift(torch.autograd.Function):
    """out[b, t + s, c] = data[b, t, c] with s of each sample and group; zero where nothing arrives."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, shift: list[list[int]]) -> Tensor:
        ctx.shift = shift
        return _shifted(data, shift)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _shifted(grad, [[-s for s in row] for row in ctx.shift]), None


def _shifted(data: Tensor, shift: list[list[int]]) -> Tensor:
    T, size = data.shape[1], data.shape[2] // len(shift[0])
    out = torch.zeros_like(data)
    for b, row in enumerate(shift):
        for g, s in enumerate(row):
            if abs(s) < T:
                target = slice(max(0, s), min(T, T + s))
                source = slice(max(0, -s), min(T, T - s))
                group = slice(g * size, (g + 1) * size)
                out[b, target, group] = data[b, source, group]
    return out


def published_interlace(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """Two shifted copies of the fold, their blend, the weights, and a copy of everything to put it together."""
    u = x[:, :, :fold]
    size = fold // offset.shape[1]
    k = offset.detach().floor()
    phi = (offset - k).to(x.dtype).repeat_interleave(size, 1)[:, None, :, None, None]
    whole_frames = k.int().cpu().tolist()
    near = WholeFrameShift.apply(u, whole_frames)
    far = WholeFrameShift.apply(u, [[s + 1 for s in row] for row in whole_frames])
    y = (1 - phi) * near + phi * far
    y = y * weight.to(x.dtype).repeat_interleave(size, 2)[..., None, None]
    frames = torch.cat([y.flatten(0, 1), x.flatten(0, 1)[:, fold:]], 1)
    return frames.unflatten(0, x.shape[:2])


def bytes_moved(whole: int, fold: int) -> int:
    """Bytes that the forward above reads and writes, for so many bytes of the whole tensor and of the fold.

    Two shifts of 3 (zeros, read, written), two products of 2, their sum of 3, the weights of 2: 15 times the
    fold; and the whole tensor read and written by the concatenation. The mean before it is not counted.
    """
    return 15 * fold + 2 * whole


class PublishedInterlace(nn.Module):
    """Stands where ours stands: the same parameters under the same names, so that weights load strictly."""

    def __init__(self, ours: TemporalInterlace) -> None:
        super().__init__()
        self.offset_net = ours.offset_net
        self.weight_net = ours.weight_net
        self.num_segments = ours.num_segments
        self.fold = ours.fold
        self.mirrored = ours.mirrored

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.view(-1, self.num_segments, *frames.shape[1:])
        z = x[:, :, : self.fold].mean(-1).mean(-1).transpose(1, 2)
        offsets, weights = self.offset_net, self.weight_net
        s = offsets.conv(z).flatten(1)
        b = 2 * offsets.offset_range * (torch.sigmoid(offsets.fc2(F.relu(offsets.fc1(s)))) - 0.5)
        w = 2 * torch.sigmoid(weights.conv(z)).transpose(1, 2)
        if self.mirrored:
            b, w = torch.cat([b, -b], 1), torch.cat([w, w], 2)
        return published_interlace(x, b, w, self.fold).flatten(0, 1)
