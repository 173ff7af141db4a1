"""Clips of several parts, for ensembles whose networks see frames of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from interlace.data.sampling import Sampling


@dataclass(frozen=True)
class JoinedSampling:
    """The clips of several samplings, one after the other: what an ensemble of 8 and 16 frames sees.

        frames  0 1 2 3 4 5 6 7 8 9 10 11    T = 2 + 3:  [. . . a . .|. . . b . .], [. . c .|. . d .|. . e .]
                                             the clip:   a b c d e

    Each part draws for itself, in its turn. A frame that two parts choose stands in the clip twice, and is
    decoded once.

    Raises:
        ValueError: there is no part.

    Example:
        >>> from interlace.data.joined import JoinedSampling
        >>> from interlace.data.sampling import SegmentSampling
        >>> JoinedSampling((SegmentSampling(2), SegmentSampling(3))).test_indices(12)
        [[3, 9, 2, 6, 10]]
    """

    parts: tuple[Sampling, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a joined sampling has no parts; give at least one")

    @property
    def num_segments(self) -> int:
        """Frames in a clip, all parts together."""
        return sum(part.num_segments for part in self.parts)

    def train_indices(self, num_frames: int, generator: torch.Generator) -> list[int]:
        """The draws of the parts, one after the other."""
        return [index for part in self.parts for index in part.train_indices(num_frames, generator)]

    def test_indices(self, num_frames: int, num_clips: int = 1) -> list[list[int]]:
        """The k-th clip has the k-th clips of the parts."""
        clips = zip(*(part.test_indices(num_frames, num_clips) for part in self.parts), strict=True)
        return [[index for part in clip for index in part] for clip in clips]

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; :func:`interlace.data.sampling.sampling_from_dict` is the inverse."""
        return {"name": "joined", "parts": [part.to_dict() for part in self.parts]}
