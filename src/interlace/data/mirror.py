"""What a mirror does to the channels of a clip: colors change places, what moved right now moves left."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional

from interlace.modality import FLOW_LENGTH, Modality

Mirror = Callable[[Tensor], Tensor]


def mirror_colors(clip: UInt8[Tensor, "*batch H W"]) -> UInt8[Tensor, "*batch H W"]:
    """Columns from right to left.

    Example:
        >>> import torch
        >>> from interlace.data.mirror import mirror_colors
        >>> mirror_colors(torch.tensor([[[1, 2, 3]]], dtype=torch.uint8)).tolist()
        [[[3, 2, 1]]]
    """
    mirrored: Tensor = functional.horizontal_flip(clip)
    return mirrored


def mirror_flow(clip: UInt8[Tensor, "*batch C H W"]) -> UInt8[Tensor, "*batch C H W"]:
    """The same, and motion along x in the last 10 channels (x, y, x, y, ...) is turned round: v becomes 255 - v.

    Source: the released TSN (GroupRandomHorizontalFlip).

    Example:
        >>> import torch
        >>> from interlace.data.mirror import mirror_flow
        >>> clip = torch.full((10, 1, 2), 128, dtype=torch.uint8)
        >>> clip[0, 0, 0] = 155
        >>> mirror_flow(clip)[:2].tolist()
        [[[127, 100]], [[128, 128]]]
    """
    mirrored = mirror_colors(clip).clone()
    along_x = mirrored[..., -2 * FLOW_LENGTH :: 2, :, :]
    torch.sub(255, along_x, out=along_x)
    return mirrored


def mirror_of(modality: Modality) -> Mirror:
    """The mirror for clips of a modality.

    Example:
        >>> from interlace.data.mirror import mirror_of
        >>> mirror_of("rgb_flow").__name__
        'mirror_flow'
    """
    return mirror_flow if modality in ("flow", "rgb_flow") else mirror_colors
