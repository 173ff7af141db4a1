"""Open a video: a file of any kind that FFmpeg reads, or a folder of numbered pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interlace.data.flow import FLOW_METHODS, FlowMethod, with_flow
from interlace.data.flow_folder import FlowFolder, holds_flow, stored_flow
from interlace.data.frame_folder import FrameFolder, picture_series
from interlace.data.limits import DEPTH
from interlace.data.reader import Color, OnError, VideoError, VideoReader
from interlace.data.snippets import SNIPPET_SHORT_SIDE, snippets
from interlace.data.video_file import VideoFile
from interlace.modality import MODALITIES, Modality

__all__ = [
    "VIDEO_SUFFIXES",
    "Flow",
    "VideoError",
    "VideoReader",
    "find_videos",
    "is_video",
    "open",
    "open_pictures",
]

Flow = FlowMethod | Path
"""A method to compute optical flow with, or the folder that `interlace flow` has stored it in."""

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv"),
    *(".ogv", ".ogg", ".wmv", ".asf", ".3gp", ".vob", ".gif"),
)


def open(
    path: str | Path,
    *,
    color: Color = "rgb",
    on_error: OnError = "raise",
    frame_template: str | None = None,
    short_side: int | None = None,
    num_threads: int = 1,
    modality: Modality = "rgb",
    flow: Flow = "dis",
) -> VideoReader:
    """Open a video file or a folder of pictures; close it, or use it in a ``with``.

    ``on_error`` says what to do with frames that cannot be decoded: raise, or let the nearest one stand in.
    ``frame_template`` names a folder's pictures (``"img_{:05d}.jpg"``) where they do not tell by themselves.
    ``short_side`` makes larger frames smaller (see :mod:`interlace.data.reduce`); ``height`` and ``width`` stay those
    of the video. ``num_threads`` is for decoding one file; leave it at 1 in data workers.

    Of another ``modality`` than ``rgb``, a frame is the snippet that begins there, with more channels: see
    :func:`interlace.data.snippets.snippets`. It is made of frames with a short side of 256 pixels at most. ``flow`` is
    a method to compute optical flow with (:func:`interlace.data.flow.optical_flow`), or a folder that `interlace flow`
    wrote. A folder of pictures that holds ``flow_x_*`` and ``flow_y_*`` brings its own.

    Raises:
        VideoError: missing, empty, not a video, without a video track; or damaged under ``on_error="raise"``;
            its flow is not in the folder ``flow``, or is that of another video.
        ValueError: an unknown modality or method.

    Example:
        >>> from interlace.data import video
        >>> with video.open("clip.mp4") as clip:  # doctest: +SKIP
        ...     print(clip.frames_at([0, 10, 20]).shape)
        torch.Size([3, 3, 240, 320])
    """
    pictures = open_pictures(
        path,
        color=color,
        on_error=on_error,
        frame_template=frame_template,
        short_side=short_side if modality == "rgb" else None,
        num_threads=num_threads,
        modality=modality,
        flow=flow,
    )
    return snippets(pictures, modality, short_side=short_side)


def open_pictures(
    path: str | Path,
    *,
    color: Color = "rgb",
    on_error: OnError = "raise",
    frame_template: str | None = None,
    short_side: int | None = None,
    num_threads: int = 1,
    modality: Modality = "rgb",
    flow: Flow = "dis",
) -> VideoReader:
    """The same, before snippets are made: at each frame its colors, its flow (x, y) to the next one, or both."""
    path = Path(path)
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r} is unknown; choose from {', '.join(MODALITIES)}")
    if not isinstance(flow, Path) and flow not in FLOW_METHODS:
        raise ValueError(f"flow {flow!r} is no method ({', '.join(FLOW_METHODS)}), nor the path of a folder")
    keep_color = modality == "rgb_flow"
    needs_flow = keep_color or modality == "flow"
    if modality == "flow" and holds_flow(path):
        return FlowFolder(path, on_error=on_error)
    if modality != "rgb":
        short_side = SNIPPET_SHORT_SIDE
        color = "gray" if modality == "flow" else color
    reading: dict[str, Any] = {"color": color, "on_error": on_error, "short_side": short_side}
    frames: VideoReader
    if path.is_dir():
        frames = FrameFolder(path, frame_template=frame_template, **reading)
    else:
        frames = VideoFile(path, num_threads=num_threads, **reading)
    if not needs_flow:
        return frames
    try:
        if isinstance(flow, Path) or holds_flow(path):
            stored = stored_flow(flow, path) if isinstance(flow, Path) else path
            return FlowFolder(stored, frames=frames, keep_color=keep_color, on_error=on_error)
        return with_flow(frames, flow, keep_color=keep_color)
    except BaseException:
        frames.close()
        raise


def is_video(path: str | Path) -> bool:
    """True if the name ends like a video file's and is not hidden; the file is not looked at."""
    name = Path(path).name
    return name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")


def find_videos(root: str | Path) -> list[Path]:
    """All video files and folders of pictures under a folder (or the folder itself), sorted by path.

    A folder that holds numbered pictures and no video file is a video; other pictures are passed over, and so are
    hidden folders. Links to folders are followed, and each is looked at once, however many links lead to it.

    Raises:
        VideoError: there is no such folder, or it holds no video, or folders within each other without end.
    """
    root = Path(root)
    if not root.is_dir():
        raise VideoError(f"{root}: there is no such folder; check the path")
    found: list[Path] = []
    visited: set[Path] = set()
    for folder, subfolders, files in _walk(root):
        if folder.resolve() in visited:
            subfolders.clear()
            continue
        visited.add(folder.resolve())
        # Sorted: which of several links is followed must not depend on the disk.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        videos = [folder / file for file in files if is_video(file) and (folder / file).is_file()]
        found += videos or ([folder] if picture_series(files) else [])
    if not found:
        raise VideoError(f"{root}: no video file and no folder of pictures in it; check the path")
    return sorted(found)


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As os.walk, which in Python 3.11 calls itself for each level; folders that cannot be listed are passed over."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        DEPTH.check(folder, depth, VideoError)
        subfolders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    (subfolders if _is_folder(entry) else files).append(entry.name)
        except OSError:
            continue
        yield folder, subfolders, files
        waiting += [(folder / name, depth + 1) for name in reversed(subfolders)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
