"""Locks that the system lifts when their process ends, however it ends."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interlace.files.write_errors import explained

_SECONDS_FOR_CHILDREN = 30.0
"""How long the children of a killed process may take to notice; PyTorch's workers look every 5 seconds."""


@contextmanager
def locked(path: Path, what: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file, for what one process at a time may do.

    A killed process holds it until its last child has noticed; that is waited for. Disks without locks (some on
    networks) do not keep a second process out.

    Args:
        path: the lock file; it tells of its holder, and is gone afterwards.
        what: what is done, as the error begins: "runs/tin: training".
        patience: seconds to wait for another process that holds it; for what takes a moment, as adding a line.

    Raises:
        ValueError: another process holds it, still.
        OSError: it cannot be written; the message names ``path`` and says what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.files import locked
        >>> path = pathlib.Path(tempfile.mkdtemp()) / ".lock"
        >>> with locked(path, "runs/tin: training"):
        ...     path.exists()
        True
        >>> path.exists()
        False
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _open_locked(path, what, patience)
    try:
        about = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}
        with explained(path):
            os.ftruncate(file, 0)
            os.write(file, (json.dumps(about) + "\n").encode())
        yield
    finally:
        with suppress(OSError):  # who finds it there takes it over
            path.unlink()
        os.close(file)


def try_lock(file: int) -> bool | None:
    """Lock an open file; False if another process has done so, None where there are no locks.

    Example:
        >>> import tempfile
        >>> from interlace.files.locks import try_lock
        >>> with tempfile.TemporaryFile() as file:
        ...     try_lock(file.fileno())
        True
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk that has none
        return None
    return True


def is_alive(process: int) -> bool:
    """Whether there is a process of this number on this computer.

    Example:
        >>> import os
        >>> from interlace.files.locks import is_alive
        >>> is_alive(os.getpid())
        True
    """
    if os.name == "nt":  # where that would be Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # there is, and it is another user's
        return True
    return True


def _open_locked(path: Path, what: str, patience: float) -> int:
    """The lock file, open and locked."""
    began = time.monotonic()
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if try_lock(file) is not False:
            if _is_same(file, path):
                return file
            os.close(file)  # its holder has removed it meanwhile
            continue
        holder = _holder(file)
        os.close(file)
        wait = max(patience, _SECONDS_FOR_CHILDREN) if _is_killed(holder) else patience
        if time.monotonic() - began >= wait:
            raise ValueError(
                f"{what} is under way in process {holder.get('process', '?')} on {holder.get('host', '?')} "
                f"since {holder.get('since', '?')} ({path}); wait until it has ended, or choose another folder"
            )
        time.sleep(0.1)


def _holder(file: int) -> dict[str, Any]:
    try:
        about = json.loads(os.read(file, 4096))
    except ValueError:  # it is writing it
        return {}
    return about if isinstance(about, dict) else {}


def _is_killed(holder: dict[str, Any]) -> bool:
    process, is_here = holder.get("process"), holder.get("host") == socket.gethostname()
    return is_here and isinstance(process, int) and not is_alive(process)


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
