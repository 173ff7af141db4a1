"""What a convolution was built with, for one that takes its parameters over."""

from __future__ import annotations

from typing import Any

from torch import nn


def geometry_of(conv: nn.Conv2d) -> dict[str, Any]:
    """The arguments of ``nn.Conv2d`` for one like this.

    Example:
        >>> from torch import nn
        >>> from interlace.models.geometry import geometry_of
        >>> nn.Conv2d(**geometry_of(nn.Conv2d(3, 4, 5, stride=2, bias=False)))
        Conv2d(3, 4, kernel_size=(5, 5), stride=(2, 2), bias=False)
    """
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    same = {name: getattr(conv, name) for name in (*names, "padding_mode")}
    return {**same, "bias": conv.bias is not None}
