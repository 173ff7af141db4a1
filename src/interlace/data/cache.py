"""Short videos decoded once: their frames are kept in a folder, or in memory, and read from there.

Random clips of a video take other frames in every epoch, so all its frames are kept, at the size that they are
read in. Only video files whose frames take up little are kept; the others are decoded as ever.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from safetensors import SafetensorError

from interlace.data import video
from interlace.data.cached_video import CachedVideo, packed
from interlace.data.memory_folder import memory_folder
from interlace.data.reader import Color, OnError, VideoError, VideoReader
from interlace.data.reduce import reduced_size
from interlace.data.snippets import SNIPPET_SHORT_SIDE, snippets
from interlace.data.video import Flow
from interlace.files import whole_file
from interlace.modality import Modality

LARGEST_CLIP = 32 * 2**20
"""Bytes of frames up to which a video is kept: 4 s of 12 frames a second at 240 x 427 are 15 million."""
_FORMAT = 1
_log = logging.getLogger(__name__)


class ClipCache:
    """Decoded videos by what decides their frames; one folder may serve many processes at a time.

    A file appears whole or not at all. Its name is made of the video's path, size and times of change, of how it is
    read, and of PyAV's version: another video, or one that was changed, has another name. When the limit or the disk
    is reached, no more are kept, and a warning is logged once. The folder may be deleted at any time.

    Args:
        folder: where the frames are, made if missing; None keeps them in memory, as long as this object lives.
        gigabytes: most that the folder may hold.

    Raises:
        ValueError: the folder cannot be made or written to, or there is no shared memory.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.data.cache import ClipCache
        >>> cache = ClipCache(pathlib.Path(tempfile.mkdtemp()), gigabytes=2.0)
        >>> cache.open("clip.mp4")  # doctest: +SKIP
        CachedVideo('clip.mp4', 96 frames, 24 fps)
    """

    def __init__(self, folder: Path | None, *, gigabytes: float | int) -> None:
        self.folder = memory_folder(self) if folder is None else folder.resolve()
        self.limit = int(gigabytes * 1e9)
        self._passed_over: set[str] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._account() as account:
                for left in self.folder.glob(".*.part"):  # by a process that was killed
                    left.unlink()
                account["bytes"] = sum(file.stat().st_size for file in self.folder.glob("*.frames"))
                account["full"] = False
        except OSError as error:
            raise ValueError(
                f"{folder}: frames cannot be kept there ({error.strerror}); choose another folder"
            ) from error

    def open(
        self,
        path: str | Path,
        *,
        color: Color = "rgb",
        on_error: OnError = "raise",
        frame_template: str | None = None,
        short_side: int | None = None,
        modality: Modality = "rgb",
        flow: Flow = "dis",
    ) -> VideoReader:
        """The same as :func:`interlace.data.video.open`, from kept frames where there are some.

        A video that is not kept, but may be, is decoded wholly now, and its optical flow computed. Damaged videos,
        folders of pictures and stored flow are not kept.
        """
        path = Path(path)
        reading: dict[str, Any] = {"color": color, "on_error": on_error}
        reading["short_side"] = short_side if modality == "rgb" else None
        if modality != "rgb":
            reading |= {
                "modality": modality,
                "flow": "dis" if modality == "rgb_diff" else flow,
            }  # it has none
        pictures = self._open_pictures(path, frame_template, reading)
        return snippets(pictures, modality, short_side=short_side)

    def _open_pictures(self, path: Path, frame_template: str | None, reading: dict[str, Any]) -> VideoReader:
        color, on_error = reading["color"], reading["on_error"]
        file = None if isinstance(reading.get("flow"), Path) else self._file_of(path, reading)
        if file is not None and file.name not in self._passed_over:
            kept = _kept(file, path, color, on_error)
            if kept is None and self._keep(path, reading, file):
                kept = _kept(file, path, color, on_error)
            if kept is not None:
                return kept
            self._passed_over.add(file.name)
        return video.open_pictures(path, frame_template=frame_template, **reading)

    def _file_of(self, path: Path, reading: dict[str, Any]) -> Path | None:
        """Where the frames are, or would be; None for what is no file."""
        if not path.is_file():
            return None
        about = path.stat()
        state = about.st_size, about.st_mtime_ns, about.st_ctime_ns
        key = json.dumps([str(path.resolve()), state, reading, av.__version__, _FORMAT])
        return self.folder / f"{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()}.frames"

    def _keep(self, path: Path, reading: dict[str, Any], file: Path) -> bool:
        """Decode all frames and write them, if they are few and whole and there is room; True if they are there."""
        try:
            with video.open_pictures(path, **reading) as reader:
                short_side = SNIPPET_SHORT_SIDE if "modality" in reading else reader.short_side
                height, width = reduced_size(reader.height, reader.width, short_side)
                num_bytes = reader.num_frames * height * width * reader.num_channels
                if num_bytes > LARGEST_CLIP or not self._has_room(num_bytes):
                    return False
                content = packed(reader)
                if reader.is_damaged:
                    return False
        except VideoError:
            return False  # who reads it next meets the error, if it lies in the frames that are read
        return file == self._file_of(path, reading) and self._write(file, content)

    def _has_room(self, num_bytes: int) -> bool:
        try:
            with self._account() as account:
                if not account["full"] and account["bytes"] + num_bytes > self.limit:
                    self._stop(account, f"the limit of {self.limit / 1e9:g} GB is reached")
                return not account["full"]
        except OSError as error:
            self._warn(error)
            return False

    def _write(self, file: Path, content: bytes) -> bool:
        if not self._has_room(len(content)):
            return False
        try:
            with self._account() as account:  # one process writes at a time
                return file.exists() or self._write_counted(file, content, account)
        except OSError as error:  # the folder was deleted just now
            self._warn(error)
            return False

    def _write_counted(self, file: Path, content: bytes, account: dict[str, Any]) -> bool:
        try:
            with whole_file(file) as beside:
                beside.write_bytes(content)
        except OSError as error:
            self._stop(account, os.strerror(error.errno) if error.errno else str(error))
            return False
        account["bytes"] += len(content)
        return True

    def _warn(self, error: OSError) -> None:
        _log.warning("%s: decoded videos cannot be kept there (%s)", self.folder, error)

    def _stop(self, account: dict[str, Any], reason: str) -> None:
        account["full"] = True
        _log.warning("%s: no more decoded videos are kept (%s); the others are decoded", self.folder, reason)

    @contextmanager
    def _account(self) -> Iterator[dict[str, Any]]:
        """How full the folder is, for one process at a time; what is changed in it is written back."""
        import fcntl  # not on Windows

        with (self.folder / "account.json").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system lifts it if the process dies
            file.seek(0)
            text = file.read()
            try:
                account = json.loads(text)
            except ValueError:  # new, or cut short by a crash: what is there is counted at the next start
                account = {"bytes": 0, "full": False}
            yield account
            if json.dumps(account) != text:
                file.truncate(0)
                file.write(json.dumps(account))
                file.flush()


def _kept(file: Path, path: Path, color: Color, on_error: OnError) -> CachedVideo | None:
    """The frames that the file holds; one that is damaged is taken away."""
    try:
        return CachedVideo(path, file, color, on_error)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError):
        file.unlink(missing_ok=True)
        return None
