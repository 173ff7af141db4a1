"""Frames that someone has decoded already, read as a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from interlace.data.flow import FlowMethod, with_flow
from interlace.data.frame_folder import FRAMES_PER_SECOND
from interlace.data.reader import Color, VideoReader
from interlace.data.snippets import SNIPPET_SHORT_SIDE, snippets
from interlace.modality import Modality


class DecodedClip(VideoReader):
    """A clip uint8 (T, C, H, W) with C = 3 or 1. There are no timestamps: 25 frames a second are taken.

    Example:
        >>> import torch
        >>> from interlace.data.decoded_clip import DecodedClip
        >>> clip = DecodedClip(torch.zeros(9, 3, 24, 32, dtype=torch.uint8))
        >>> clip.snippets("rgb_diff").frames_at([0, 8]).shape
        torch.Size([2, 18, 24, 32])
    """

    def __init__(self, clip: UInt8[Tensor, "T C H W"], *, short_side: int | None = None) -> None:
        color: Color = "gray" if clip.shape[1] == 1 else "rgb"
        super().__init__(Path(f"clip {tuple(clip.shape)}"), color, "raise", short_side)
        self._clip = clip
        self.num_frames = len(clip)
        self.fps = FRAMES_PER_SECOND
        self.duration_seconds = self.num_frames / FRAMES_PER_SECOND
        self.pts_seconds = torch.arange(self.num_frames, dtype=torch.float64) / FRAMES_PER_SECOND

    def snippets(self, modality: Modality, method: FlowMethod = "dis") -> VideoReader:
        """The clip as a network of another modality sees it; see :func:`interlace.data.video.open`."""
        if modality == "rgb":
            return self
        frames: VideoReader = DecodedClip(self._clip, short_side=SNIPPET_SHORT_SIDE)
        if modality != "rgb_diff":
            frames = with_flow(frames, method, keep_color=modality == "rgb_flow")
        return snippets(frames, modality)

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return self._clip.shape[-2]

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return self._clip.shape[-1]

    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        return {i: self._clip[i].permute(1, 2, 0).contiguous().cpu().numpy() for i in wanted}

    def _find_blank(self) -> list[int]:
        return []

    def _blank_is_damage(self) -> bool:
        return False

    def _reason(self, position: int) -> str:
        raise AssertionError(f"frame {position} of a decoded clip is not there")

    def close(self) -> None:
        """Nothing is open."""
