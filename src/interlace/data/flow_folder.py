"""Stored optical flow: a folder of pictures flow_x_00001.jpg and flow_y_00001.jpg for each video.

The first ones are the flow from the first frame to the second. It is the format of TSN and those after it, so flow
that others have extracted is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from interlace.data.flow import FLOW_METHODS, NO_MOTION, FlowMethod
from interlace.data.frame_folder import FLOW_PREFIXES, FRAMES_PER_SECOND, FrameFolder, picture_series
from interlace.data.limits import check_text
from interlace.data.pictures import file_names
from interlace.data.reader import OnError, VideoError, VideoReader

ABOUT = "flow.json"
"""Beside the pictures: how they were computed, of which file, and when its frames are shown."""


class FlowFolder(VideoReader):
    """The stored flow of one video: at each frame the field to the next one (x, y), behind its colors if wanted.

    There is one frame more than fields; from the last one on nothing moves. Timestamps are those of ``frames``, else
    those that ``flow.json`` tells, else 25 a second.

    Args:
        path: the folder of the pictures.
        frames: an open reader of the video that the flow is of; it is this one's own from now on.
        keep_color: put its frames before the fields, which are resized to them.
        on_error: what to do with pictures that cannot be read.

    Raises:
        VideoError: there is no flow in the folder, or it is not that of the frames.
    """

    def __init__(
        self,
        path: Path,
        *,
        frames: VideoReader | None = None,
        keep_color: bool = False,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(path if frames is None else frames.path, "rgb", on_error)
        self._frames = frames
        self._color = frames if keep_color else None
        self.num_channels = 2 + (0 if self._color is None else self._color.num_channels)
        self._fields = [
            FrameFolder(path, color="gray", on_error=on_error, frame_template=template)
            for template in _templates(path)
        ]
        for fields in self._fields:
            fields.notes.clear()  # of its own timestamps, which count for nothing
        x, y = (fields.num_frames for fields in self._fields)
        if x != y:
            raise VideoError(f"{path}: {x} pictures of flow along x and {y} along y; compute the flow again")
        self.num_frames = x + 1
        if frames is None:
            self._take_times(read_about(path))
        else:
            self._take_times_of(frames, path)
        for part in self._parts:
            self._tell_of(part)

    @property
    def _parts(self) -> list[VideoReader]:
        return [*self._fields, *([] if self._frames is None else [self._frames])]

    def _take_times(self, about: dict[str, Any]) -> None:
        times = about.get("pts_seconds", [])
        if len(times) == 1:  # its one field, without motion, leads to no other frame
            self.num_frames = 1
        if len(times) != self.num_frames:
            self.notes.append(f"flow without timestamps: taken as {FRAMES_PER_SECOND:g} a second")
            times = [i / FRAMES_PER_SECOND for i in range(self.num_frames)]
            about = {"fps": FRAMES_PER_SECOND, "duration_seconds": self.num_frames / FRAMES_PER_SECOND}
        self.pts_seconds = torch.tensor(times, dtype=torch.float64)
        self.fps, self.duration_seconds = about["fps"], about["duration_seconds"]

    def _take_times_of(self, frames: VideoReader, path: Path) -> None:
        if (
            abs(self.num_frames - frames.num_frames) > 1
        ):  # some tools leave a frame out, or repeat the last field
            raise VideoError(
                f"{path}: {self.num_frames - 1} fields of flow do not belong to the {frames.num_frames} frames of "
                f"{frames.path}; compute the flow again"
            )
        self.num_frames = min(self.num_frames, frames.num_frames)
        self.pts_seconds = frames.pts_seconds[: self.num_frames]
        self.fps, self.duration_seconds = frames.fps, frames.duration_seconds

    @property
    def height(self) -> int:
        """Rows of the video's frame; of the pictures where only these are there."""
        return (self._frames or self._fields[0]).height

    @property
    def width(self) -> int:
        """Columns of the video's frame; of the pictures where only these are there."""
        return (self._frames or self._fields[0]).width

    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        moving = [i for i in wanted if i < self._fields[0].num_frames]
        read = torch.cat([fields.frames_at(moving) for fields in self._fields], dim=1)
        fields = dict(zip(moving, read, strict=True))
        still = torch.full((2, *read.shape[-2:]), NO_MOTION, dtype=torch.uint8)
        pictures = torch.stack([fields.get(i, still) for i in wanted])
        if self._color is not None:
            colors = self._color.frames_at(wanted)
            pictures = torch.cat([colors, _resized(pictures, colors.shape[-2:])], dim=1)
        for part in self._parts:
            self._tell_of(part)
        return dict(zip(wanted, pictures.permute(0, 2, 3, 1).contiguous().numpy(), strict=True))

    def _find_blank(self) -> list[int]:
        blank = {i for part in self._parts for i in part.damaged_frames() if i < self.num_frames}
        for part in self._parts:
            self._tell_of(part)
        return sorted(blank)

    def _blank_is_damage(self) -> bool:
        return True

    def _reason(self, position: int) -> str:
        raise AssertionError(
            f"{self.path}: {position} is there if its pictures are, whose readers tell why not"
        )

    def close(self) -> None:
        """Close the frames' reader, if there is one."""
        for part in self._parts:
            part.close()


def holds_flow(folder: Path) -> bool:
    """Whether a folder is one of stored flow."""
    return folder.is_dir() and any(folder.glob(f"{FLOW_PREFIXES[0]}*"))


def stored_flow(folder: Path, video: Path) -> Path:
    """Where the flow of a video is, in a folder that mirrors the tree of the videos.

    The end of the video's path decides, as much of it as is found there: ``DIR/a/clip.mp4`` is in
    ``folder/a/clip.mp4``.

    Raises:
        VideoError: there is none, or it was computed from another file.
    """
    parts = video.absolute().parts[1:]
    found = next((place for k in range(len(parts)) if holds_flow(place := folder.joinpath(*parts[k:]))), None)
    if found is None:
        raise VideoError(
            f"{video}: its flow is not in {folder}; compute it with `interlace flow DIR --output {folder}`"
        )
    num_bytes = read_about(found).get("source", {}).get("bytes")
    if num_bytes is not None and video.is_file() and num_bytes != video.stat().st_size:
        raise VideoError(
            f"{found}: the flow of another file than {video} ({num_bytes} bytes, not {video.stat().st_size}); "
            "compute it again"
        )
    return found


def read_about(folder: Path) -> dict[str, Any]:
    """What ``flow.json`` tells; nothing of flow that others have extracted."""
    file = folder / ABOUT
    if not file.is_file():
        return {}
    try:
        check_text(file, VideoError)
        about = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise VideoError(f"{file}: damaged ({error}); compute the flow again") from error
    if not isinstance(about, dict):
        return {}
    _check_about(file, about)
    return about


def _check_about(file: Path, about: dict[str, Any]) -> None:
    """Raise VideoError where a value is none that was ever written."""
    times = about.get("pts_seconds", [])
    numbers = [about.get(key) for key in ("fps", "duration_seconds")] if times else []
    if not isinstance(times, list) or not all(map(_is_number, [*times, *numbers])) or 0 in numbers:
        raise VideoError(
            f"{file}: damaged (pts_seconds, fps and duration_seconds must be numbers); compute the flow again"
        )
    if not isinstance(about.get("source", {}), dict):
        raise VideoError(f"{file}: damaged (source is {about['source']!r:.60}); compute the flow again")


def _is_number(value: Any) -> bool:
    """A time in seconds or a rate: JSON also has numbers beyond all bounds, and those that are none."""
    return type(value) in (int, float) and 0 <= value < 1e9


def stored_method(folder: Path) -> FlowMethod | None:
    """With which method stored flow was computed; None if others have extracted it."""
    told = read_about(folder).get("method")
    return told if told in FLOW_METHODS else None


def _templates(path: Path) -> list[str]:
    """Those of the names of the x and the y pictures."""
    series = picture_series(file_names(path))
    templates = []
    for prefix in FLOW_PREFIXES:
        found = [(suffix, numbered) for (start, suffix), numbered in series.items() if start == prefix]
        if len(found) != 1:
            raise VideoError(
                f"{path}: {len(found)} series of pictures {prefix}*; one is needed, as {prefix}00001.jpg"
            )
        suffix, numbered = found[0]
        digits = len(numbered[min(numbered)]) - len(prefix) - len(suffix)
        templates.append(f"{prefix}{{:0{digits}d}}{suffix}")
    return templates


def _resized(pictures: Tensor, size: Sequence[int]) -> Tensor:
    same = pictures.shape[-2:] == torch.Size(size)
    if same:
        return pictures
    return functional.interpolate(pictures, list(size), mode="bilinear", align_corners=False, antialias=True)
