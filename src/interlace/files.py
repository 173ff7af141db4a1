"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it takes the place of ``path`` once it is whole and on the disk.

    Folders that are missing are made. After an error the earlier file is still there. The mode is that of
    any new file (0666 less the umask), whatever the writer gives: temporary files of some libraries can be read by
    their owner alone.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files import whole_file
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> with whole_file(path) as beside:
        ...     _ = beside.write_text("all of it")
        >>> path.read_text()
        'all of it'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.unlink(missing_ok=True)  # what a killed process has left
        beside.touch()
        mode = beside.stat().st_mode & 0o777
        yield beside
        beside.chmod(mode)
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
