"""Folders that the verbs of `interlace av` write to."""

from __future__ import annotations

import tempfile
from pathlib import Path


def require_writable(option: str, folder: Path) -> None:
    """Ask before hours of work whether a folder is one that files can be written to, or that can be made.

    Raises:
        ValueError: it is not, and why.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.cli.av_output import require_writable
        >>> require_writable("output", Path(tempfile.mkdtemp()) / "new" / "one")
        >>> require_writable("output", Path(tempfile.mkstemp(suffix=".csv")[1]))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: --output ....csv is a file; give a folder
    """
    there = (
        folder if folder.exists() else next(parent for parent in folder.absolute().parents if parent.exists())
    )
    if not there.is_dir():
        where = "is a file" if there == folder else f"cannot be made: {there} is a file"
        raise ValueError(f"--{option} {folder} {where}; give a folder")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"--{option} {folder}: nothing can be written to {there} ({error.strerror}); choose another folder"
        ) from error
