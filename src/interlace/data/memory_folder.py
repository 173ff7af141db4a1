"""A folder in memory that goes when the process does, however it ends."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO

ROOT = Path("/dev/shm")


def memory_folder(owner: object) -> Path:
    """A new folder in shared memory, removed with ``owner``, or by the next call if this process is killed.

    Raises:
        ValueError: the system has no shared memory in the form of a folder.

    Example:
        >>> from interlace.data.memory_folder import memory_folder
        >>> class Owner: ...
        >>> owner = Owner()
        >>> folder = memory_folder(owner)  # doctest: +SKIP
    """
    if not os.access(ROOT, os.W_OK):
        raise ValueError(f"{ROOT} is not there to keep frames in memory; name a folder on a quick disk")
    import fcntl  # not on Windows, which has no such folder

    for left in ROOT.glob("interlace-*"):
        _remove_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix="interlace-", dir=ROOT))
    lock = (folder / ".new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # the system lifts it when this process is no more
    (folder / ".new").rename(folder / ".owned")
    weakref.finalize(owner, _remove, folder, os.getpid(), lock)
    return folder


def _remove(folder: Path, process: int, lock: IO[str]) -> None:
    if os.getpid() == process:  # not a worker that was forked with the owner
        shutil.rmtree(folder, ignore_errors=True)
    lock.close()


def _remove_abandoned(folder: Path) -> None:
    import fcntl

    try:
        with (folder / ".owned").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # another's, or in use
