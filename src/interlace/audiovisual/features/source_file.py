"""Whether a video is still the one that something was computed from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def source_of(path: Path) -> dict[str, Any]:
    """What tells a video from another one of its name: size, time and content of its file, or of its pictures.

    Raises:
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.audiovisual.features.source_file import is_still, source_of
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "clip.mp4"
        ...     _ = path.write_bytes(b"one")
        ...     source = source_of(path)
        ...     _ = path.write_bytes(b"two")
        ...     source["bytes"], is_still(path, source)
        (3, False)
    """
    size, time = _size_and_time(path)
    return {"bytes": size, "modified_ns": time, "sha256": _sha256(path)}


def is_still(path: Path, source: dict[str, Any]) -> bool:
    """Whether a video is the one that :func:`source_of` told of; False if it cannot be read any more."""
    try:
        size, time = _size_and_time(path)
        if source["bytes"] != size:
            return False
        is_same: bool = source["modified_ns"] == time or source["sha256"] == _sha256(
            path
        )  # a copy has another time
    except OSError:
        return False
    return is_same


def _size_and_time(path: Path) -> tuple[int, int]:
    status = [file.stat() for file in _files(path)]
    return sum(each.st_size for each in status), max((each.st_mtime_ns for each in status), default=0)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    """The file, or the pictures of a folder."""
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
