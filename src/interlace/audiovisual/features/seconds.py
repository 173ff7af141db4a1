"""The seconds of a video: how many there are, and which frames stand for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.data.reader import VideoReader

# Full-size frames held at a time while they are made small: 8 of 4K are 200 MB.
FRAMES_PER_READ = 8
# Seconds; keeps a frame that is shown at 7 * (1 / 12) from being later than one asked for at 7 / 12.
ROUNDING = 1e-6


def num_seconds(duration_seconds: float) -> int:
    """Segments (N) of a video: its length in whole seconds, rounded; one at least.

    Example:
        >>> from interlace.audiovisual.features.seconds import num_seconds
        >>> [num_seconds(duration) for duration in (0.2, 1.4, 1.5, 10.04)]
        [1, 1, 2, 10]
    """
    return max(1, math.floor(duration_seconds + 0.5))


def frames_of_seconds(
    pts_seconds: Float64[Tensor, " num_frames"], duration_seconds: float, frames_per_second: int
) -> list[list[int]]:
    """Positions of the frames that stand for each second, by their times.

    Each second is cut into equal parts, and the frame on show in the middle of each is taken; twice, if nothing else
    is shown. The last second may be a part of one, and is cut up as far as the video goes; what is left behind
    it (less than half a second) stands for nothing::

        frames   0   1   2   3   4   5   6   7   8   9       4 a second, 2.5 s long; 2 are taken
        seconds  |--0-------1---||--0-------1---||-0-1-|
                    0       2       4       6      8 9

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.seconds import frames_of_seconds
        >>> frames_of_seconds(torch.arange(10).double() / 4, 2.5, 2)
        [[1, 3], [5, 7], [8, 9]]
    """
    starts = torch.arange(num_seconds(duration_seconds), dtype=torch.float64)
    lengths = (duration_seconds - starts).clamp(max=1.0)
    middles = (torch.arange(frames_per_second, dtype=torch.float64) + 0.5) / frames_per_second
    times = starts[:, None] + lengths[:, None] * middles
    # The frame on show is the last one that has begun.
    positions = torch.searchsorted(pts_seconds, times + ROUNDING, right=True) - 1
    on_show: list[list[int]] = positions.clamp(min=0).tolist()
    return on_show


def read_seconds(
    reader: VideoReader,
    frames_per_second: int,
    prepare: Callable[[UInt8[Tensor, "T C H W"]], UInt8[Tensor, "T C S S"]],
) -> Iterator[UInt8[Tensor, "T C S S"]]:
    """The prepared frames of one second after the other, in one pass over the file.

    No more than a second is held: the length of a video costs time, not memory.

    Args:
        reader: an open video.
        frames_per_second: frames that stand for a second (T).
        prepare: makes frames of any size those that a network takes.

    Raises:
        VideoError: a frame cannot be decoded, and the reader is strict.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.seconds import read_seconds
        >>> from interlace.data.decoded_clip import DecodedClip
        >>> clip = DecodedClip(torch.zeros(60, 3, 24, 32, dtype=torch.uint8))  # taken as 25 frames a second
        >>> [tuple(frames.shape) for frames in read_seconds(clip, 4, lambda frames: frames[..., :24])]
        [(4, 3, 24, 24), (4, 3, 24, 24)]
    """
    kept: dict[int, Tensor] = {}
    for positions in frames_of_seconds(reader.pts_seconds, reader.duration_seconds, frames_per_second):
        # What the second before has shown as well need not be decoded again: a slide show stands still for long.
        kept = {position: kept[position] for position in positions if position in kept}
        new = sorted(set(positions) - kept.keys())
        for first in range(0, len(new), FRAMES_PER_READ):
            part = new[first : first + FRAMES_PER_READ]
            kept.update(zip(part, prepare(reader.frames_at(part)), strict=True))
        yield torch.stack([kept[position] for position in positions])
