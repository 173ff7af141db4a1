"""The 1x1 convolution of interlaced channels-last frames with a kernel that was packed before: for inference."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from interlace.ops import _cpu


def can_pack(x: Tensor, fold: int, kernel: Tensor) -> bool:
    """Whether :func:`packed_conv1x1` takes clips x (B, T, C, H, W) and a kernel (K, C, 1, 1) of the same dtype."""
    return kernel.dtype == x.dtype and _cpu.has_conv_rows(x, fold, kernel.shape[0])


def pack(kernel: Tensor) -> Tensor:
    """A kernel (K, C, 1, 1) in the order in which the convolution reads it, (K, C)."""
    return _cpu.pack(kernel.detach().flatten(1))


@torch.library.custom_op(
    "interlace::packed_conv1x1",
    mutates_args=(),
    schema="(Tensor x, Tensor offset, Tensor weight, int fold, Tensor packed, Tensor? bias, float? lowest,"
    " float? highest) -> Tensor",
)
def packed_conv1x1(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    packed: Tensor,
    bias: Tensor | None,
    lowest: float | None,
    highest: float | None,
) -> Tensor:
    """As :func:`interlace.ops.interlaced_conv2d` with a 1x1 kernel, cut to [lowest, highest]: (B, T, K, H, W).

    Args:
        x: clips (B, T, C, H, W) that :func:`can_pack`.
        offset: (B, G), in frames.
        weight: (B, T, G).
        fold: number of channels that move.
        packed: from :func:`pack`.
        bias: (K,), or None.
        lowest: smaller results become this; 0 is ReLU.
        highest: larger results become this; 6, with 0, is ReLU6.
    """
    limits = (-math.inf if lowest is None else lowest, math.inf if highest is None else highest)
    return _cpu.conv_rows(x, offset, weight, fold, packed, bias, limits)


@packed_conv1x1.register_fake
def _(
    x: Tensor,
    offset: Tensor,  # noqa: ARG001
    weight: Tensor,  # noqa: ARG001
    fold: int,  # noqa: ARG001
    packed: Tensor,
    bias: Tensor | None,  # noqa: ARG001
    lowest: float | None,  # noqa: ARG001
    highest: float | None,  # noqa: ARG001
) -> Tensor:
    B, T, _, H, W = x.shape
    return x.new_empty((B, T, H, W, packed.shape[0])).permute(0, 1, 4, 2, 3)
