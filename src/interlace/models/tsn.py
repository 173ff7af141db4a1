"""Temporal Segment Network (Wang et al., ECCV 2016): frames are classified one by one."""

from __future__ import annotations

from typing import Any

from torch import nn

from interlace.models.modality import Modality
from interlace.models.plain import create_backbone


def tsn(
    backbone: str,
    *,
    num_segments: int = 8,  # noqa: ARG001 - every builder takes it; nothing here depends on it
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """The plain timm network.

    Example:
        >>> import torch
        >>> from interlace.models import tsn
        >>> tsn("resnet18")(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """
    return create_backbone(backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args)
