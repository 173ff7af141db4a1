"""Errors of writing a file in words: which file, why not, and what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room, or write to another disk",
    errno.EDQUOT: "your share of the disk is used up; make room, or write to another disk",
    errno.EFBIG: "files may not grow that large here (ulimit -f); lift the limit, or write to another disk",
    errno.EROFS: "the disk can only be read; write to another folder",
    errno.EACCES: "this user may not write there; change the folder's mode, or write to another folder",
    errno.EPERM: "this user may not write there; change the folder's mode, or write to another folder",
    errno.ENAMETOOLONG: "the name is too long for this disk; give a shorter one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; write to another folder",
    errno.EEXIST: "a part of the path is a file, not a folder; write to another folder",
    errno.EISDIR: "there is a folder of this name; give another name",
    errno.EIO: "the disk does not work (input/output error); write to another disk",
    errno.ESTALE: "the folder on the network is gone; mount it again, or write to another folder",
}


@contextmanager
def explained(path: Path, beside: Path | None = None) -> Iterator[None]:
    """Within it, errors of writing ``path``, or what stands ``beside`` it, name ``path`` and say what to do.

    They stay of their kind (`PermissionError`, ...) and keep their ``errno``. Other errors pass.

    Example:
        >>> import errno, pathlib
        >>> from interlace.files.write_errors import explained
        >>> with explained(pathlib.Path("a.csv")):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        ...
        OSError: a.csv cannot be written: the disk is full; make room, or write to another disk
    """
    try:
        yield
    except Exception as error:
        number = _number(error, path, beside or path)
        if number is None:
            raise
        reason = _REMEDIES.get(number, os.strerror(number))
        told = type(OSError(number, ""))(f"{path} cannot be written: {reason}")
        told.errno = number
        raise told from error


def _number(error: Exception, path: Path, beside: Path) -> int | None:
    """What the system said of this file; None if the error is of something else."""
    if not isinstance(error, OSError):
        told = re.search(
            r"\(os error (\d+)\)", str(error)
        )  # so say safetensors, and all that is written in Rust
        return int(told[1]) if told else None
    if error.filename is None:  # so comes what a write has met, but also what is no file
        return error.errno if error.errno in _REMEDIES else None
    named = Path(os.fsdecode(error.filename))
    is_ours = named == path or named in path.parents or named.is_relative_to(beside)
    return error.errno if is_ours else None
