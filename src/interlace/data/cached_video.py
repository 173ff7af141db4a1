"""A video whose decoded frames lie in a file of their own: read as it is, nothing is decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from safetensors import safe_open
from safetensors.numpy import save

from interlace.data.reader import Color, OnError, VideoReader

FRAMES_PER_READ = 8
"""Full-size frames held at a time while a video is decoded for its file."""


class CachedVideo(VideoReader):
    """The frames of a file that :func:`packed` has filled, by position.

    Raises:
        OSError, SafetensorError: there is no such file, or it is not whole.
    """

    def __init__(self, path: Path, file: Path, color: Color, on_error: OnError) -> None:
        super().__init__(path, color, on_error)  # the frames are reduced already
        self._file: Any = safe_open(file, framework="numpy")
        about = json.loads(self._file.metadata()["about"])
        self._size: tuple[int, int] = about["height"], about["width"]
        self.num_channels = self._file.get_slice("frames").get_shape()[-1]
        self.fps, self.duration_seconds = about["fps"], about["duration_seconds"]
        self.notes += about["notes"]
        self.pts_seconds = torch.from_numpy(self._file.get_tensor("pts_seconds"))
        self.num_frames = len(self.pts_seconds)

    @property
    def height(self) -> int:
        """Rows of the video's upright frame."""
        return self._size[0]

    @property
    def width(self) -> int:
        """Columns of the video's upright frame."""
        return self._size[1]

    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        frames = self._file.get_slice("frames")
        return {position: frames[position : position + 1][0] for position in wanted}

    def _find_blank(self) -> list[int]:
        return []

    def _blank_is_damage(self) -> bool:
        return False

    def _reason(self, position: int) -> str:
        raise AssertionError(f"{self.path}: frame {position} of its decoded file is not there")

    def close(self) -> None:
        """Let go of the file."""
        self._file = None


def packed(reader: VideoReader) -> bytes:
    """Decode all frames of an open video, a few at a time: what a file for :class:`CachedVideo` holds."""
    parts = [
        reader.frames_at(range(first, min(first + FRAMES_PER_READ, reader.num_frames)))
        for first in range(0, reader.num_frames, FRAMES_PER_READ)
    ]
    about = {
        "height": reader.height,
        "width": reader.width,
        "fps": reader.fps,
        "duration_seconds": reader.duration_seconds,
        "notes": reader.notes,
    }
    frames = np.concatenate([part.permute(0, 2, 3, 1).numpy() for part in parts])
    arrays = {"frames": frames, "pts_seconds": reader.pts_seconds.numpy()}
    return save(arrays, metadata={"about": json.dumps(about)})
