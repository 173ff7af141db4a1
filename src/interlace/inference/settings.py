"""What an answer depends on: the network, the options, and the video's file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import interlace
from interlace.inference.batch import AnswerOptions
from interlace.inference.recognizer import Recognizer
from interlace.optimization import OptimizedModel


def settings_of(recognizer: Recognizer, options: AnswerOptions) -> dict[str, Any]:
    """All that changes the answer to a video, as JSON can hold it; of the network's file its name and its content.

    Raises:
        ValueError: the recognizer was not loaded from a file.
        OSError: that file cannot be read any more.
    """
    if recognizer.path is None:
        raise ValueError("this network comes from no file; load it with interlace.load")
    return {
        **asdict(options),
        "frames": recognizer.frame_template,
        "flow": str(recognizer.flow) if recognizer.modality != "rgb" else None,
        "optimize": isinstance(recognizer.model, OptimizedModel),
        "device": recognizer.device.type,
        "model": recognizer.path.name,
        "model_sha256": fingerprint(recognizer.path),
        "interlace": interlace.__version__,
    }


def fingerprint(path: Path) -> str:
    """SHA-256 of a checkpoint or exported file; OpenVINO's weights, which lie beside it, are part of it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.inference.settings import fingerprint
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> _ = path.write_bytes(b"")
        >>> fingerprint(path)[:8]
        'e3b0c442'
    """
    digest = hashlib.sha256()
    for file in (path, path.with_suffix(".bin")):
        if file == path or (path.suffix.lower() == ".xml" and file.is_file()):
            with file.open("rb") as content:
                while part := content.read(2**20):
                    digest.update(part)
    return digest.hexdigest()


def source_of(path: Path) -> list[int] | None:
    """Bytes and time of change (ns) of a video: of its file, or of all pictures in its folder; None if it has gone.

    Example:
        >>> import os, tempfile
        >>> from pathlib import Path
        >>> from interlace.inference.settings import source_of
        >>> path = Path(tempfile.mkdtemp()) / "a.mp4"
        >>> _ = path.write_bytes(b"12345")
        >>> os.utime(path, ns=(0, 7000))
        >>> source_of(path), source_of(path.with_name("b.mp4"))
        ([5, 7000], None)
    """
    try:
        if not path.is_dir():
            status = path.stat()
            return [status.st_size, status.st_mtime_ns]
        total, newest = 0, path.stat().st_mtime_ns
        with os.scandir(path) as entries:
            for entry in entries:
                status = entry.stat()
                total, newest = total + status.st_size, max(newest, status.st_mtime_ns)
    except OSError:
        return None
    return [total, newest]
