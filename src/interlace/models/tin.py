"""Temporal Interlacing Network (Shao et al., AAAI 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from interlace.models.backbone import insert_in_branches
from interlace.models.modality import Modality
from interlace.models.plain import create_backbone
from interlace.temporal import TemporalInterlace

RELEASED_OFFSETS = {"offset_range": 2.0, "initial_offset": 0.5}
"""What the authors' networks have, in frames, and their files do not tell."""


def tin(
    backbone: str,
    *,
    num_segments: int = 8,
    shift_div: int = 4,
    num_groups: int = 2,
    mirrored: bool = True,
    offset_range: float | None = None,
    initial_offset: float | Sequence[float] | None = None,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """A timm network that interlaces 1 / shift_div of the channels before every block's residual branch.

    See :class:`interlace.temporal.TemporalInterlace` for what the values mean. The published ones are those of
    :func:`tin_released` and :func:`tin_paper`; docs/results.md compares them. Where a quarter of a
    block's channels does not divide into the groups (24 // 4 = 6 in MobileNetV2, for 4 groups), that block takes
    the next divisor with which it does (24 // 5 = 4).

    Example:
        >>> import torch
        >>> from interlace.models import tin
        >>> tin("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """
    groups = num_groups * (2 if mirrored else 1)

    def interlaced(channels: int) -> nn.Module:
        return TemporalInterlace(
            channels,
            num_segments=num_segments,
            shift_div=fitting_divisor(channels, shift_div, groups),
            num_groups=num_groups,
            mirrored=mirrored,
            offset_range=offset_range,
            initial_offset=initial_offset,
        )

    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    insert_in_branches(network, interlaced)
    return network


def tin_released(
    backbone: str,
    *,
    shift_div: int = 4,
    num_groups: int = 2,
    mirrored: bool = True,
    offset_range: float = RELEASED_OFFSETS["offset_range"],
    initial_offset: float | Sequence[float] = RELEASED_OFFSETS["initial_offset"],
    **arguments: Any,
) -> nn.Module:
    """TIN as its authors released it: offsets within 2 frames that start at half a frame; see :func:`tin`.

    Example:
        >>> from interlace.models import tin_released
        >>> tin_released("resnet18", num_segments=4).layer1[0].conv1.temporal.offset_net.offset_range
        2.0
    """
    return tin(
        backbone,
        shift_div=shift_div,
        num_groups=num_groups,
        mirrored=mirrored,
        offset_range=offset_range,
        initial_offset=initial_offset,
        **arguments,
    )


def tin_paper(
    backbone: str,
    *,
    num_segments: int = 8,
    offset_range: float | None = None,
    initial_offset: float | Sequence[float] = 1.0,
    **arguments: Any,
) -> nn.Module:
    """TIN as the text of the paper has it (section 3): offsets within half the clip that start at one frame.

    ``offset_range=None`` is num_segments / 2. The other arguments are those of :func:`tin_released`. Where a network
    of :func:`interlace.create_model` is changed to another number of frames, it keeps its range.

    Example:
        >>> from interlace.models import tin_paper
        >>> tin_paper("resnet18", num_segments=16).layer1[0].conv1.temporal.offset_net.offset_range
        8.0
    """
    return tin_released(
        backbone,
        num_segments=num_segments,
        offset_range=num_segments / 2 if offset_range is None else offset_range,
        initial_offset=initial_offset,
        **arguments,
    )


def fitting_divisor(channels: int, shift_div: int, groups: int) -> int:
    """The smallest divisor >= shift_div whose fold divides into the groups; shift_div if there is none.

    Raises:
        ValueError: a number below 1.
    """
    if shift_div < 1 or groups < 1:
        raise ValueError(f"shift_div={shift_div} and {groups} groups of channels; both must be at least 1")
    larger = range(shift_div, channels // groups + 1)
    return next((divisor for divisor in larger if channels // divisor % groups == 0), shift_div)
