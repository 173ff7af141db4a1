"""Temporal Shift Module network (Lin et al., ICCV 2019)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import nn

from interlace.models.backbone import (
    insert_before_blocks,
    insert_before_stage,
    insert_in_branches,
    largest_stage,
)
from interlace.models.modality import Modality
from interlace.models.plain import create_backbone
from interlace.temporal import TemporalPool, TemporalShift
from interlace.temporal.temporal_pool import pooled_segments


def tsm(
    backbone: str,
    *,
    num_segments: int = 8,
    fold_div: int = 8,
    mode: Literal["bidirectional", "causal"] = "bidirectional",
    position: Literal["residual", "in_place"] = "residual",
    num_convs: int = 1,
    every: int | None = None,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """A timm network that shifts 1 / fold_div of the channels either way before every residual branch.

    Args:
        backbone: timm's name of the network.
        num_segments: frames in a clip (T).
        fold_div: 8 as published, so that a quarter of the channels move.
        mode: bidirectional, or causal for networks that run online.
        position: residual: the identity path keeps its frames; in_place: it is shifted too (the worse one).
        num_convs: convolutions of each branch that see shifted frames; 2 is the baseline of the TIN authors.
        every: 1 for every block, 2 for every second one; None as released: 2 in networks with a stage of 23
            blocks or more (ResNet-101), else 1. The TIN authors' baseline has 1.
        pretrained: start from timm's weights.
        in_chans: color channels of a frame.
        modality: what the frames hold.
        timm_args: further arguments of timm's builder.

    Raises:
        ValueError: an unknown position or mode, a number that the network has no place for, or `num_convs` in place.

    Example:
        >>> import torch
        >>> from interlace.models import tsm
        >>> tsm("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """
    if position not in ("residual", "in_place"):
        raise ValueError(f"position {position!r} is unknown; it is 'residual' or 'in_place'")
    if position == "in_place" and num_convs != 1:
        raise ValueError(
            f"num_convs={num_convs}, but in place the shift stands before whole blocks, not before convolutions"
        )
    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    every = _released_every(network) if every is None else every
    shift = partial(TemporalShift, num_segments=num_segments, fold_div=fold_div, mode=mode)
    if position == "in_place":
        insert_before_blocks(network, shift, every=every)
    else:
        insert_in_branches(network, shift, num_convs=num_convs, every=every)
    return network


def tsm_tpool(
    backbone: str,
    *,
    num_segments: int = 8,
    fold_div: int = 8,
    every: int | None = None,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """TSM that halves the number of frames before its second stage (layer2 of a ResNet).

    Its features are those of (T + 1) // 2 frames; the arguments are those of :func:`tsm`.

    Example:
        >>> import torch
        >>> from interlace.models.tsm import tsm_tpool
        >>> tsm_tpool("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([4, 512])
    """
    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    every = _released_every(network) if every is None else every
    shift = partial(TemporalShift, fold_div=fold_div)
    first, others = slice(0, 1), slice(1, None)
    insert_in_branches(network, partial(shift, num_segments=num_segments), every=every, stages=first)
    halved = pooled_segments(num_segments)
    insert_in_branches(network, partial(shift, num_segments=halved), every=every, stages=others)
    insert_before_stage(network, TemporalPool(num_segments), stage=1)
    return network


def _released_every(network: nn.Module) -> int:
    """Every second block in networks as deep as ResNet-101, as released."""
    return 2 if largest_stage(network) >= 23 else 1
