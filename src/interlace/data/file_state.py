"""Whether a file is still as it was when it was opened, and whether it was the disk that failed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from interlace.data.reader import VideoError

# Of a disk or a network. FFmpeg gives the first one for some damaged files too.
_NUMBERS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.ENOTCONN)
_TEXTS = tuple(os.strerror(number) for number in _NUMBERS)
_CHUNK = 2**20


@dataclass(frozen=True)
class FileState:
    """Enough of a file's record to see that it was written to, or that another one took its place.

    The number of its record (inode) is for the wording alone: some network file systems give another one at every look.
    """

    bytes: int
    modified_ns: int
    inode: int


def state_of(path: Path) -> FileState | None:
    """The state of a file, or of a folder; None if there is none.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.file_state import state_of
        >>> print(state_of(Path("missing.mp4")))
        None
    """
    try:
        return of_status(path.stat())
    except OSError:
        return None


def of_status(status: os.stat_result) -> FileState:
    """The same of what ``os.stat`` or ``os.fstat`` says."""
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino)


def change(before: FileState, after: FileState | None) -> str:
    """What happened to a file, in words; empty if nothing did.

    Example:
        >>> from interlace.data.file_state import FileState, change
        >>> change(FileState(5, 70, 1), FileState(9, 80, 1))
        'it grew from 5 to 9 bytes'
    """
    if after is None:
        return "it is gone"
    if (after.bytes, after.modified_ns) == (before.bytes, before.modified_ns):
        return ""
    if after.inode != before.inode:
        return "another file has its place"
    if after.bytes == before.bytes:
        return "it was written to"
    return (
        f"it {'grew' if after.bytes > before.bytes else 'shrank'} from {before.bytes} to {after.bytes} bytes"
    )


def changed(path: Path, what: str) -> VideoError:
    """The error of a file that did not stay as it was."""
    return VideoError(
        f"{path}: {what} while it was read; read it again when it is complete and stays as it is"
    )


def require_same(path: Path, before: FileState | None) -> None:
    """Raise if a file is not what it was.

    Raises:
        VideoError: it is gone, has grown or shrunk, was written to or was replaced.
    """
    what = change(before, state_of(path)) if before is not None else ""
    if what:
        raise changed(path, what)


@contextmanager
def unchanged(path: Path, before: FileState | None) -> Iterator[None]:
    """Nothing that is read of a file counts if the file did not stay the same, neither frames nor an error.

    Raises:
        VideoError: the file has changed, in place of whatever came of that.
    """
    try:
        yield
    except Exception:
        require_same(path, before)
        raise
    require_same(path, before)


def require_disk(path: Path, reason: str) -> None:
    """If a decoder's reason may be that of a failing disk or network, read the file through to tell.

    Raises:
        VideoError: reading it fails.
    """
    if not any(words in reason for words in _TEXTS):
        return
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass
    except OSError as error:
        raise unreadable(path, error) from error


def is_of_the_disk(error: BaseException) -> bool:
    """True if the system says that a disk or a network fails."""
    return isinstance(error, OSError) and error.errno in _NUMBERS


def unreadable(path: Path, error: BaseException) -> VideoError:
    """The error of a file that the system does not give out."""
    return VideoError(
        f"{path}: the disk or the network fails ({getattr(error, 'strerror', None) or error}), the video may be whole; "
        "try again, or copy it from elsewhere"
    )
