"""Pictures made of the frames of another reader: of two neighbours their flow, of several a snippet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from interlace.data.reader import VideoReader

Picture = UInt8[np.ndarray, "_ _ _"]
"""(H, W, C); the number of channels changes on the way."""
Make = Callable[[Sequence[Picture]], Picture]


class DerivedVideo(VideoReader):
    """At each position a picture made of the ``reach`` frames from there on; past the end the last one is repeated.

        frames   0 1 2 3 4        reach 3:  at 1 made of 1 2 3, at 3 of 3 4 4

    Length, timestamps and size are those of the frames, what to do with damaged ones is up to their reader. Each frame
    is read once for all pictures that share it. Closing this reader closes theirs.

    Args:
        frames: an open reader; it is this one's own from now on.
        reach: how many frames one picture is made of.
        num_channels: channels that ``make`` gives.
        make: so many frames in the order of time, the same object where one is repeated, to one picture.
        short_side: to which the pictures, not the frames, are reduced.
    """

    def __init__(
        self, frames: VideoReader, *, reach: int, num_channels: int, make: Make, short_side: int | None = None
    ) -> None:
        super().__init__(frames.path, frames.color, frames.on_error, short_side)
        self.num_channels = num_channels
        self.num_frames, self.pts_seconds = frames.num_frames, frames.pts_seconds
        self.fps, self.duration_seconds = frames.fps, frames.duration_seconds
        self._frames = frames
        self._reach = reach
        self._make = make
        self._kept: dict[int, Picture] = {}
        self._tell_of(frames)

    @property
    def height(self) -> int:
        """Rows of the video's upright frame."""
        return self._frames.height

    @property
    def width(self) -> int:
        """Columns of the video's upright frame."""
        return self._frames.width

    def _read(self, wanted: Sequence[int]) -> dict[int, Picture]:
        needed = {i: [min(i + k, self.num_frames - 1) for k in range(self._reach)] for i in wanted}
        frames = self._frames_at(sorted({j for positions in needed.values() for j in positions}))
        return {i: self._make([frames[j] for j in positions]) for i, positions in needed.items()}

    def _frames_at(self, positions: Sequence[int]) -> dict[int, Picture]:
        """The last ones are kept: who reads on from here needs them again, and decoders do not go back."""
        new = [position for position in positions if position not in self._kept]
        read = self._frames.frames_at(new).permute(0, 2, 3, 1).numpy()
        self._tell_of(self._frames)
        frames = self._kept | dict(zip(new, read, strict=True))
        self._kept = {position: frames[position] for position in positions[-self._reach :]}
        return frames

    def _find_blank(self) -> list[int]:
        blank = self._frames.damaged_frames()
        self._tell_of(self._frames)
        return blank

    def _blank_is_damage(self) -> bool:
        return self._frames._blank_is_damage()

    def _reason(self, position: int) -> str:
        raise AssertionError(
            f"{self.path}: {position} is there if the frames are, whose reader tells why not"
        )

    def close(self) -> None:
        """Close the frames' reader."""
        self._kept = {}
        self._frames.close()
