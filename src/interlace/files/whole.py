"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from interlace.files.parts import part_of


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it takes the place of ``path`` once it is whole and on the disk.

    Folders that are missing are made. After an error the earlier file is still there. Several processes may write
    the same file: each has a hidden name of its own, and the last whole one stays. What a killed process has left goes
    with the next write of that name; but a library that makes a file of its own beside it, as safetensors' `save_file`
    does, leaves that one, so write its bytes. The mode is that of any new file (0666 less the umask), whatever the
    writer gives: temporary files of some libraries can be read by their owner alone.

    Raises:
        OSError: it cannot be written; the message names ``path`` and says what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files import whole_file
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> with whole_file(path) as beside:
        ...     _ = beside.write_text("all of it")
        >>> path.read_text()
        'all of it'
    """
    with part_of(path) as beside:
        mode = beside.stat().st_mode & 0o777
        yield beside
        beside.chmod(mode)
        to_disk(beside)
        beside.replace(path)
        to_disk(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: a new one beside ``path`` takes its place when all in it is whole and on the disk.

    Raises:
        OSError: it cannot be written; the message names ``path`` and says what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files import whole_folder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "pictures"
        >>> with whole_folder(path) as beside:
        ...     (beside / "one").touch()
        >>> [file.name for file in path.iterdir()]
        ['one']
    """
    with part_of(path, is_folder=True) as beside:
        yield beside
        for place, _, names in os.walk(beside):
            for name in names:
                to_disk(Path(place, name))
            to_disk(Path(place))
        while not _moved(beside, path):  # another process may put its own there in between
            with part_of(path, is_folder=True) as earlier, suppress(FileNotFoundError):
                path.replace(earlier / "earlier")
        to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files.whole import to_disk
        >>> to_disk(pathlib.Path(tempfile.mkdtemp()))
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # which has no such call
        return
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY if is_folder else os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if not is_folder or error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # some disks do it for files only
            raise
    finally:
        os.close(file)


def _moved(folder: Path, path: Path) -> bool:
    """Give the folder its name, unless there is one already with something in it."""
    try:
        folder.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
