"""Where a test-time view is cut out of the frame: the published crops, on a whole clip at once."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional

from interlace.data.crops import CORNERS_AND_CENTER, LEFT_RIGHT_CENTER, TOP_BOTTOM_CENTER, crop_positions
from interlace.data.mirror import Mirror, mirror_colors

Crops = Literal["center", "three", "ten", "full"]

NUM_CROPS: dict[Crops, int] = {"center": 1, "three": 3, "ten": 10, "full": 3}
"""Views that each kind of crop makes of one clip."""


def spatial_views(
    clip: UInt8[Tensor, "T C H W"], crops: Crops, image_size: int, *, mirror: Mirror = mirror_colors
) -> UInt8[Tensor, "V T C S S"]:
    """Resize a clip's short side to 256/224 of ``image_size`` and cut the views of a protocol out of it.

    Args:
        clip: frames of any size.
        crops: ``center``: one crop. ``three``: left, right, centre (top, bottom, centre of an upright video).
            ``ten``: corners and centre, then the mirror of each, which shows left/right classes as their
            opposite. ``full``: like three, but squares of the whole short side ("full resolution": S is 256
            for 224).
        image_size: side S of the views in pixels.
        mirror: what mirrors a clip of this modality (see :func:`interlace.data.mirror.mirror_of`).

    Raises:
        ValueError: an unknown kind of crop.

    Source: the released TSM and TIN (GroupCenterCrop, GroupFullResSample, GroupOverSample); bilinear,
        antialiased.

    Example:
        >>> import torch
        >>> from interlace.data.views import spatial_views
        >>> spatial_views(torch.zeros(4, 3, 60, 80, dtype=torch.uint8), "three", 56).shape
        torch.Size([3, 4, 3, 56, 56])
    """
    if crops not in NUM_CROPS:
        raise ValueError(f"unknown crops {crops!r}; the names are {', '.join(NUM_CROPS)}")
    clip = resize_short_side(clip, resized_short_side(image_size))
    if crops == "center":
        return functional.center_crop(clip, [image_size, image_size])[None]
    height, width = clip.shape[-2:]
    side = min(height, width) if crops == "full" else image_size
    along_the_long_side = LEFT_RIGHT_CENTER if width >= height else TOP_BOTTOM_CENTER
    steps = CORNERS_AND_CENTER if crops == "ten" else along_the_long_side
    corners = crop_positions((width, height), (side, side), steps)
    views = torch.stack([clip[..., top : top + side, left : left + side] for left, top in corners])
    return torch.cat([views, mirror(views)]) if crops == "ten" else views


def resized_short_side(image_size: int) -> int:
    """The short side before a crop of ``image_size``, in pixels: the usual 256 for 224, in proportion.

    Example:
        >>> from interlace.data.views import resized_short_side
        >>> resized_short_side(224), resized_short_side(112)
        (256, 128)
    """
    return round(image_size * 256 / 224)


def resize_short_side(clip: UInt8[Tensor, "T C H W"], short_side: int) -> UInt8[Tensor, "T C H2 W2"]:
    """Resize so that the shorter side of the frames has ``short_side`` pixels; their shape stays.

    Example:
        >>> import torch
        >>> from interlace.data.views import resize_short_side
        >>> resize_short_side(torch.zeros(4, 3, 60, 80, dtype=torch.uint8), 30).shape
        torch.Size([4, 3, 30, 40])
    """
    return functional.resize(clip, [short_side], antialias=True)
