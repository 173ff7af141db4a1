"""Convolutions along time in TIN's places: r-TCN, which the TIN paper's analysis derives, and a free one."""

from __future__ import annotations

from typing import Any

from torch import nn

from interlace.models.backbone import insert_in_branches
from interlace.models.modality import Modality
from interlace.models.plain import create_backbone
from interlace.models.tin import fitting_divisor
from interlace.temporal.temporal_conv import RegularizedTemporalConv, TemporalConv

GROUPS_OF_TIN = 4  # two and two mirrored: the fold of the free convolution is TIN's in every block


def rtcn(
    backbone: str,
    *,
    num_segments: int = 8,
    shift_div: int = 4,
    num_groups: int = 2,
    mirrored: bool = True,
    initial_offset: float = 1.0,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """TIN with offsets and weights that are parameters, the same for every clip.

    See :class:`interlace.temporal.RegularizedTemporalConv`; folds that do not divide into the groups are made
    smaller as in :func:`interlace.models.tin`.

    Example:
        >>> import torch
        >>> from interlace.models.tcn import rtcn
        >>> rtcn("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """
    groups = num_groups * (2 if mirrored else 1)

    def convolved(channels: int) -> nn.Module:
        return RegularizedTemporalConv(
            channels,
            num_segments=num_segments,
            shift_div=fitting_divisor(channels, shift_div, groups),
            num_groups=num_groups,
            mirrored=mirrored,
            initial_offset=initial_offset,
        )

    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    insert_in_branches(network, convolved)
    return network


def tcn(
    backbone: str,
    *,
    num_segments: int = 8,
    shift_div: int = 4,
    offset_range: float = 2.0,
    initial_offset: float = 1.0,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """A free temporal convolution where TIN interlaces, on the same channels and as far as its offsets reach.

    See :class:`interlace.temporal.TemporalConv`.

    Example:
        >>> import torch
        >>> from interlace.models.tcn import tcn
        >>> tcn("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """

    def convolved(channels: int) -> nn.Module:
        return TemporalConv(
            channels,
            num_segments=num_segments,
            shift_div=fitting_divisor(channels, shift_div, GROUPS_OF_TIN),
            offset_range=offset_range,
            initial_offset=initial_offset,
        )

    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    insert_in_branches(network, convolved)
    return network
