"""The first convolution for other channels than RGB, made from that of RGB (TSN, section 3.2)."""

from __future__ import annotations

from torch import nn

from interlace.models.modality import Modality, channels_of


def adapt_first_conv(network: nn.Module, modality: Modality, color_channels: int = 3) -> None:
    """Replace the first convolution of a timm network by one that sees another modality.

    Its weights are the mean of those of the colors, for every channel, as published. That of frame differences
    takes them itself: 18 channels in, 15 differences.
    """
    if modality == "rgb":
        return
    raise NotImplementedError(type(network), channels_of(modality, color_channels))
