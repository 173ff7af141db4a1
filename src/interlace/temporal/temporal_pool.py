"""Half as many frames from one place of the network on (Lin et al., ICCV 2019). It has no parameters."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import nn

from interlace.layout import clip_to_frames, frames_to_clip


class TemporalPool(nn.Module):
    """The maximum of every second frame and its two neighbours: size 3, stride 2, padding 1 along time.

        frames   0 1 2 3 4 5 6 7
        pooled   0   1   2   3        of 0-1, 1-3, 3-5, 5-7

    An odd number of frames keeps its last one: T become (T + 1) // 2.

    Args:
        num_segments: frames in a clip (T).

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalPool
        >>> TemporalPool(num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([4, 16, 5, 7])
    """

    def __init__(self, num_segments: int = 8) -> None:
        super().__init__()
        self.num_segments = num_segments

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT2 C H W"]:
        """All frames in, half of them out."""
        clip = frames_to_clip(frames, self.num_segments).transpose(1, 2)  # (B*T, C, H, W) -> (B, C, T, H, W)
        pooled = F.max_pool3d(clip, kernel_size=(3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        return clip_to_frames(pooled.transpose(1, 2))

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"num_segments={self.num_segments}"


def pooled_segments(num_segments: int) -> int:
    """Frames that :class:`TemporalPool` leaves of a clip.

    Example:
        >>> from interlace.temporal.temporal_pool import pooled_segments
        >>> [pooled_segments(number) for number in (8, 7, 2, 1)]
        [4, 4, 1, 1]
    """
    return (num_segments + 1) // 2
