"""Optical flow computed once for a whole folder of videos, and stored as the field stores it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

import interlace
from interlace.data import video
from interlace.data.flow import BOUND, FlowMethod, flow_algorithm, with_flow
from interlace.data.flow_folder import ABOUT, holds_flow, read_about
from interlace.data.reader import OnError, VideoError, VideoReader
from interlace.data.snippets import SNIPPET_SHORT_SIDE
from interlace.files import whole_folder

JPEG_QUALITY = 95
FRAMES_PER_READ = 4


@dataclass(frozen=True)
class FlowSettings:
    """How flow is computed: the same for a whole folder."""

    method: FlowMethod = "dis"
    short_side: int = SNIPPET_SHORT_SIDE
    """Larger frames are reduced to it; motion is counted in their pixels."""

    def __post_init__(self) -> None:
        if self.short_side < 1:
            raise ValueError(f"short_side={self.short_side} leaves no pixel; 256 is usual")

    def to_dict(self) -> dict[str, Any]:
        """What ``flow.json`` tells of them, and of the bytes."""
        return {**asdict(self), "bound": BOUND}


class StoppedError(Exception):
    """The user has stopped the work."""


def store_flow(
    root: Path,
    output: Path,
    settings: FlowSettings,
    *,
    num_workers: int = 2,
    on_error: OnError = "raise",
    frame_template: str | None = None,
    progress: Callable[[int, int, Path], None] | None = None,
) -> tuple[int, int, list[tuple[Path, str]]]:
    """Compute and store the flow of every video under a folder that is not there yet.

    Each video has a folder of pictures in ``output``, at the same place and of the same name, suffix and all: the flow
    of ``root/a/clip.mp4`` is ``output/a/clip.mp4/flow_x_00001.jpg`` and so on, so lists of clips fit both folders. A
    folder appears when it is whole. After an interruption, or with new videos, only what is missing is computed.

    Args:
        root: folder of the videos, or of folders of pictures.
        output: folder of the flow, outside of ``root``.
        settings: how to compute it.
        num_workers: videos that are worked on at a time, each in a thread.
        on_error: with ``"skip"`` damaged videos are stored too: where a frame is damaged the nearest one stands in.
        frame_template: names of the pictures where videos are folders.
        progress: called with (videos done, videos in all, the one done).

    Returns:
        How many were computed, how many were there already, and which could not be read with the reason.

    Raises:
        ValueError: there is no video; ``output`` is within ``root``, or holds flow of other settings; OpenCV is
            missing.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.flow_store import FlowSettings, store_flow
        >>> store_flow(Path("clips"), Path("flow"), FlowSettings("tvl1"))  # doctest: +SKIP
        (120, 0, [])
    """
    if output.resolve().is_relative_to(root.resolve()):
        raise ValueError(
            f"{output} is within {root}, whose videos it would join; choose a folder outside of it"
        )
    flow_algorithm(settings.method)  # its error comes before any work
    videos = video.find_videos(root)
    places = [output / path.relative_to(root) for path in videos]
    waiting = [
        (path, place)
        for path, place in zip(videos, places, strict=True)
        if not _is_done(path, place, settings)
    ]
    there = len(videos) - len(waiting)
    stop = threading.Event()
    failures: dict[Path, str] = {}
    pool = ThreadPoolExecutor(max(1, num_workers))
    try:
        jobs = {
            pool.submit(_store, path, place, settings, root, on_error, frame_template, stop): path
            for path, place in waiting
        }
        for done, job in enumerate(as_completed(jobs), start=1):
            try:
                job.result()
            except VideoError as error:
                failures[jobs[job]] = str(error)
            if progress is not None:
                progress(there + done, len(videos), jobs[job])
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return len(waiting) - len(failures), there, sorted(failures.items())


def write_flow(reader: VideoReader, folder: Path, *, stop: threading.Event | None = None) -> tuple[int, int]:
    """Write the fields of a reader of flow as pictures; returns their (height, width).

    One fewer than there are frames; a single frame has one field without motion.
    """
    height = width = 0
    num_fields = max(1, reader.num_frames - 1)
    for first in range(0, num_fields, FRAMES_PER_READ):
        if stop is not None and stop.is_set():
            raise StoppedError
        fields = reader.frames_at(range(first, min(first + FRAMES_PER_READ, num_fields)))
        height, width = fields.shape[-2:]
        for i, field in enumerate(fields.numpy(), start=first + 1):
            for axis, picture in zip("xy", field, strict=True):
                encoded = io.BytesIO()  # straight to a full disk Pillow writes a part, and says nothing
                Image.fromarray(picture).save(encoded, format="JPEG", quality=JPEG_QUALITY)
                (folder / f"flow_{axis}_{i:05d}.jpg").write_bytes(encoded.getvalue())
    return height, width


def _store(
    path: Path,
    place: Path,
    settings: FlowSettings,
    root: Path,
    on_error: OnError,
    frame_template: str | None,
    stop: threading.Event,
) -> None:
    # Hidden until it is whole, so no one takes it for a video; the flow of a file that was since replaced gives way.
    with suppress(StoppedError), whole_folder(place) as beside:
        frames = video.open(
            path,
            color="gray",
            on_error=on_error,
            frame_template=frame_template,
            short_side=settings.short_side,
        )
        with with_flow(frames, settings.method, keep_color=False) as reader:
            size = write_flow(reader, beside, stop=stop)
            about = _about(path, reader, settings, root, size)
        (beside / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def _about(
    path: Path, reader: VideoReader, settings: FlowSettings, root: Path, size: tuple[int, int]
) -> dict[str, Any]:
    return {
        **settings.to_dict(),
        "height": size[0],
        "width": size[1],
        "source": {
            "path": path.relative_to(root).as_posix(),
            "bytes": path.stat().st_size if path.is_file() else None,
            "height": reader.height,
            "width": reader.width,
            "num_frames": reader.num_frames,
        },
        "fps": reader.fps,
        "duration_seconds": reader.duration_seconds,
        "pts_seconds": reader.pts_seconds.tolist(),
        "interlace": interlace.__version__,
        "opencv": import_module("cv2").__version__,
    }


def _is_done(path: Path, place: Path, settings: FlowSettings) -> bool:
    """Whether its flow is there, and that of this very file."""
    about = read_about(place)
    if not about:
        if holds_flow(place):
            raise ValueError(f"{place} holds flow that was not written by interlace; choose another --output")
        return False
    told = {name: about.get(name) for name in settings.to_dict()}
    if told != settings.to_dict():
        raise ValueError(f"{place} holds flow of other settings ({told}); choose another --output")
    is_same: bool = about["source"]["bytes"] == (path.stat().st_size if path.is_file() else None)
    return is_same
