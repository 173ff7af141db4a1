"""Causal TIN: the temporal interlacing network for video as it comes; each group of channels looks back only."""

from __future__ import annotations

from typing import Any

from torch import nn

from interlace.models.backbone import insert_in_branches
from interlace.models.modality import Modality
from interlace.models.plain import create_backbone
from interlace.models.tin import fitting_divisor
from interlace.temporal import CausalInterlace


def tin_causal(
    backbone: str,
    *,
    num_segments: int = 8,
    shift_div: int = 4,
    num_groups: int = 4,
    offset_range: float = 2.0,
    initial_offset: float = 1.0,
    window: int = 3,
    hidden: int = 8,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """A timm network in which 1 / shift_div of the channels look back before every block's residual branch.

    See :class:`interlace.temporal.CausalInterlace` for what the values mean. Where a quarter of a block's channels
    does not divide into the groups, that block takes the next divisor with which it does, as :func:`tin` does.

    Example:
        >>> import torch
        >>> from interlace.models import tin_causal
        >>> tin_causal("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """

    def looking_back(channels: int) -> nn.Module:
        return CausalInterlace(
            channels,
            num_segments=num_segments,
            shift_div=fitting_divisor(channels, shift_div, num_groups),
            num_groups=num_groups,
            offset_range=offset_range,
            initial_offset=initial_offset,
            window=window,
            hidden=hidden,
        )

    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    insert_in_branches(network, looking_back)
    return network
