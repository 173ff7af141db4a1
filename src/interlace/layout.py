"""The only place where time enters or leaves the batch axis.

Public tensors are clips (B, T, C, H, W). A 2-D backbone sees frames (B*T, C, H, W) with T running fastest,
so frame t of clip b is row b*T + t.
"""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor


def clip_to_frames(clip: Shaped[Tensor, "B T *frame"]) -> Shaped[Tensor, "BT *frame"]:
    """Fold time into the batch axis.

    Example:
        >>> import torch
        >>> from interlace.layout import clip_to_frames
        >>> clip_to_frames(torch.zeros(2, 4, 3, 5, 7)).shape
        torch.Size([8, 3, 5, 7])
    """
    return clip.flatten(0, 1)  # (B, T, ...) -> (B*T, ...)


def frames_to_clip(
    frames: Shaped[Tensor, "BT *frame"], num_segments: int | torch.SymInt
) -> Shaped[Tensor, "B T *frame"]:
    """Take time out of the batch axis again; the inverse of :func:`clip_to_frames`.

    Raises:
        ValueError: the number of frames is not a multiple of ``num_segments``.

    Example:
        >>> import torch
        >>> from interlace.layout import frames_to_clip
        >>> frames_to_clip(torch.zeros(8, 3, 5, 7), num_segments=4).shape
        torch.Size([2, 4, 3, 5, 7])
    """
    if frames.shape[0] % num_segments:
        raise ValueError(
            f"{frames.shape[0]} frames do not divide into clips of num_segments={num_segments}; "
            "build the network with the number of segments that the clips have"
        )
    return frames.unflatten(0, (-1, num_segments))  # (B*T, ...) -> (B, T, ...)
