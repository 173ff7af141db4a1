"""Frames made smaller as they are read, the way that testing resizes them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional


def reduced_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """(height, width) with the shorter one brought down to ``short_side``; never up, and None leaves them.

    Example:
        >>> from interlace.data.reduce import reduced_size
        >>> reduced_size(1080, 1920, 256), reduced_size(240, 320, 256)
        ((256, 455), (240, 320))
    """
    shorter = min(height, width)
    if short_side is None or shorter <= short_side:
        return height, width
    longer = int(short_side * max(height, width) / shorter)
    return (short_side, longer) if height <= width else (longer, short_side)


def reduce(picture: UInt8[np.ndarray, "H W C"], short_side: int | None) -> UInt8[np.ndarray, "H2 W2 C"]:
    """One picture so reduced: bilinear, antialiased, the same pixels as torchvision's resize gives.

    FFmpeg could scale while it converts to RGB; that takes longer than its plain conversion and this together.

    Example:
        >>> import numpy as np
        >>> from interlace.data.reduce import reduce
        >>> reduce(np.zeros((60, 80, 3), np.uint8), 30).shape
        (30, 40, 3)
    """
    height, width = picture.shape[:2]
    size = reduced_size(height, width, short_side)
    if size == (height, width):
        return picture
    channels_first = torch.from_numpy(np.require(picture, requirements="W")).permute(2, 0, 1)[None]
    small = functional.interpolate(
        channels_first, list(size), mode="bilinear", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())
