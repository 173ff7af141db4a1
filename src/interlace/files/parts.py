"""Hidden files and folders beside the final name, of one process each."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from interlace.files.locks import is_alive, try_lock
from interlace.files.write_errors import explained

_LONGEST_NAME = 200
"""Bytes of a name that is taken into the hidden one; disks take 255."""


@contextmanager
def part_of(path: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """An empty hidden file or folder beside ``path``, ``.NAME.PROCESS-RANDOM.part``, gone in the end with all in it.

    Folders that are missing above it are made. It is locked as long as this process writes, so that others can tell
    it from what a killed process has left, which is removed here.

    Raises:
        OSError: it cannot be made, or written within the ``with``; the message names ``path`` and says what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files.parts import part_of
        >>> with part_of(pathlib.Path(tempfile.mkdtemp()) / "a.txt") as beside:
        ...     beside.name.startswith(".a.txt."), beside.suffix
        (True, '.part')
    """
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
    beside = path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with explained(path, beside):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path.parent, name)
        if is_folder:
            beside.mkdir()
        else:
            beside.touch(exist_ok=False)
        # Windows neither moves nor removes what is open.
        lock = None if os.name == "nt" else os.open(beside, os.O_RDONLY)
        try:
            if lock is not None:
                try_lock(lock)
            yield beside
        finally:
            if is_folder:
                shutil.rmtree(beside, ignore_errors=True)
            with suppress(OSError):  # what must stay is removed by the next one
                beside.unlink(missing_ok=True)
            if lock is not None:
                os.close(lock)


def _clear_leftovers(folder: Path, name: str) -> None:
    """Remove what processes that were killed have left of the same name."""
    if os.name == "nt":
        return
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d{{1,9}})-[0-9a-f]{{8}}\.part")
    with os.scandir(folder) as entries:
        parts = [(entry.path, match) for entry in entries if (match := pattern.fullmatch(entry.name))]
    for part, match in parts:
        # A library may put another file in its place, without the lock: so the process counts too.
        if int(match[1]) == os.getpid() or not is_alive(int(match[1])):
            with suppress(OSError):
                _remove_if_free(Path(part))


def _remove_if_free(part: Path) -> None:
    """Remove it, unless a process holds its lock, which may be one of another container or computer."""
    file = os.open(part, os.O_RDONLY)
    try:
        if try_lock(file):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()
    finally:
        os.close(file)
