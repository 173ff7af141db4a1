"""Open a video: a file of any kind that FFmpeg reads, or a folder of numbered pictures."""

from __future__ import annotations

import os
from pathlib import Path

from interlace.data.frame_folder import FrameFolder, picture_series
from interlace.data.reader import Color, OnError, VideoError, VideoReader
from interlace.data.video_file import VideoFile

__all__ = ["VIDEO_SUFFIXES", "VideoError", "VideoReader", "find_videos", "is_video", "open"]

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
) -> VideoReader:
    """Open a video file or a folder of pictures; close it, or use it in a ``with``.

    ``on_error`` says what to do with frames that cannot be decoded: raise, or let the nearest one stand in.
    ``frame_template`` names a folder's pictures (``"img_{:05d}.jpg"``) where they do not tell by themselves.
    ``short_side`` makes larger frames smaller (see :mod:`interlace.data.reduce`); ``height`` and ``width`` stay those
    of the video. ``num_threads`` is for decoding one file; leave it at 1 in data workers.

    Raises:
        VideoError: missing, empty, not a video, without a video track; or damaged under ``on_error="raise"``.

    Example:
        >>> from interlace.data import video
        >>> with video.open("clip.mp4") as clip:  # doctest: +SKIP
        ...     print(clip.frames_at([0, 10, 20]).shape)
        torch.Size([3, 3, 240, 320])
    """
    path = Path(path)
    if path.is_dir():
        return FrameFolder(
            path, color=color, on_error=on_error, frame_template=frame_template, short_side=short_side
        )
    return VideoFile(path, color=color, on_error=on_error, short_side=short_side, num_threads=num_threads)


def is_video(path: str | Path) -> bool:
    """True if the name ends like a video file's and is not hidden; the file is not looked at."""
    name = Path(path).name
    return name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")


def find_videos(root: str | Path) -> list[Path]:
    """All video files and folders of pictures under a folder (or the folder itself), sorted by path.

    A folder that holds numbered pictures and no video file is a video; other pictures are passed over. Links to
    folders are followed, and each folder is looked at once, however many links lead to it.

    Raises:
        VideoError: there is no such folder, or it holds no video.
    """
    root = Path(root)
    if not root.is_dir():
        raise VideoError(f"{root}: there is no such folder; check the path")
    found: list[Path] = []
    visited: set[Path] = set()
    for name, subfolders, files in os.walk(root, followlinks=True):
        folder = Path(name)
        if folder.resolve() in visited:
            subfolders.clear()
            continue
        visited.add(folder.resolve())
        subfolders.sort()  # which of several links is followed must not depend on the disk
        videos = [folder / file for file in files if is_video(file) and (folder / file).is_file()]
        found += videos or ([folder] if picture_series(files) else [])
    if not found:
        raise VideoError(f"{root}: no video file and no folder of pictures in it; check the path")
    return sorted(found)
