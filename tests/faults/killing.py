"""Commands that are killed at a chosen moment: at the n-th change of files in a folder, or at the n-th byte of a file.

One process that has read the libraries already, and has one thread, waits beside the tests and forks for each command.
A test imports this module by its name; its folder's conftest.py puts the folder of this file on the path.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import functools
import importlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
    "os.link",
    "os.symlink",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
SECONDS_ALLOWED = 300
LONGEST_TEXT = 2**20
"""Bytes that a command may print."""
STARTING_THREADS = {"openvino", "onnxruntime", "ray"}
"""Libraries that start threads when they are loaded; a fork has one thread only."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    """What it returned; below 0, the signal that ended it."""
    num_events: int | None
    """Changes of files in the folder; None if a signal ended it."""
    text: str
    """All that it has printed."""


def killed_at(arguments: Sequence[str], event: int, folder: Path) -> int | None:
    """Run ``interlace ARGUMENTS`` and kill it right before the event-th change of files in the folder, from 0.

    Returns:
        -9; None if it ended by itself before.
    """
    status = run_command(arguments, folder, event=event).status
    return status if status == -signal.SIGKILL else None


def events_of(arguments: Sequence[str], folder: Path) -> int:
    """How many changes of files in the folder the command makes if nobody kills it; it must end well."""
    ended = run_command(arguments, folder)
    assert ended.status == 0, ended.text
    assert ended.num_events is not None
    return ended.num_events


def spread(num_events: int, count: int) -> list[int]:
    """A few events of all, the first and the last among them."""
    if num_events <= count:
        return list(range(num_events))
    return [round(i * (num_events - 1) / (count - 1)) for i in range(count)]


def run_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    event: int | None = None,
    signal_number: int = signal.SIGKILL,
    largest_file: int | None = None,
    full_disk: bool = True,
    powerless: bool = False,
) -> Ended:
    """Run ``interlace ARGUMENTS`` in a process of its own, and disturb it.

    Changes are files opened for writing, folders opened to be written to the disk, and what moves, removes, makes or
    cuts. What libraries in other languages write is no event of its own: it lies between two of them.

    Args:
        arguments: of the command.
        folder: changes in it are counted.
        event: right before this one, from 0, the process sends itself the signal.
        signal_number: SIGKILL ends it there; SIGINT and SIGTERM are what users send.
        largest_file: no file may grow beyond so many bytes.
        full_disk: what comes at that size: an error of writing (EFBIG), as on a full disk; else the kernel kills the
            process in the middle of the write.
        powerless: root, too, is bound by the mode of files and folders.
    """
    request = {
        "arguments": list(arguments),
        "folder": str(folder),
        "event": event,
        "signal": int(signal_number),
        "largest_file": largest_file,
        "full_disk": full_disk,
        "powerless": powerless,
        "working_folder": str(Path.cwd()),
    }
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that forks has ended; what it said stands on stderr"
    return Ended(**json.loads(answer))


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **_ONE_THREAD, "CUDA_VISIBLE_DEVICES": ""},
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    with server:  # closes its pipes, at which it ends, and waits
        pass


def _serve() -> None:
    """Fork for each request on stdin, and answer on stdout."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that is printed is taken for an answer
    importlib.import_module("interlace.cli.parser")
    importlib.import_module("torch")
    for line in sys.stdin:
        request = json.loads(line)
        num_threads = len(list(Path("/proc/self/task").iterdir()))
        assert num_threads == 1, f"{num_threads} threads: a fork has one only"
        with tempfile.TemporaryDirectory(prefix="interlace-killing-") as scratch:
            told = Path(scratch, "told.json")
            hears, says = os.pipe()
            fcntl.fcntl(hears, fcntl.F_SETPIPE_SZ, LONGEST_TEXT)
            child = os.fork()
            if child == 0:
                _be_command(request, says, told)
            os.close(says)
            _, wait_status = os.waitpid(child, 0)
            os.set_blocking(hears, False)  # its children may live on and hold the other end
            with os.fdopen(hears, "rb") as pipe:
                text = (pipe.read(LONGEST_TEXT) or b"").decode(errors="replace")
            about: dict[str, Any] = {"num_events": None, "modules": []}
            if told.exists() and told.read_text():  # it has come to its end
                about = json.loads(told.read_text())
        status = os.waitstatus_to_exitcode(wait_status)
        answers.write(json.dumps({"status": status, "num_events": about["num_events"], "text": text}) + "\n")
        answers.flush()
        for name in about["modules"]:  # the next fork need not read them
            if name.partition(".")[0] not in STARTING_THREADS:
                with suppress(Exception):
                    importlib.import_module(name)


def _be_command(request: dict[str, Any], says: int, told: Path) -> None:
    """The forked process: never returns."""
    status = 70
    try:
        signal.alarm(SECONDS_ALLOWED)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(says, 1)  # a pipe: files may be full
        os.dup2(says, 2)
        os.chdir(request["working_folder"])
        about = told.open("w")
        if request["powerless"]:
            _drop_capabilities()
        from interlace.cli import main

        num_events = _watch(request["folder"], request["event"], request["signal"])
        if request["largest_file"] is not None:
            if not request["full_disk"]:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, so that writing fails
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], hard))
        status = main(request["arguments"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        json.dump({"num_events": next(num_events), "modules": list(sys.modules)}, about)
        about.close()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _watch(folder: str, event: int | None, signal_number: int) -> itertools.count[int]:
    """Count the changes of this process in the folder, and send the signal before the chosen one."""
    process, count = os.getpid(), itertools.count()
    roots = tuple({os.path.abspath(folder), os.path.realpath(folder)})  # noqa: PTH100 - quick, no event of its own

    def hook(name: str, values: tuple[Any, ...]) -> None:
        if name == "open":
            if not isinstance(values[2], int) or not values[2] & (WRITING | os.O_DIRECTORY):
                return
            places = values[:1]
        elif name in CHANGES:
            places = values[:2] if name == "os.rename" else values[:1]
        else:
            return
        if os.getpid() != process or not any(_below(place, values, roots) for place in places):
            return
        if next(count) == event:
            os.kill(process, signal_number)

    sys.addaudithook(hook)
    return count


def _below(place: Any, values: tuple[Any, ...], roots: tuple[str, ...]) -> bool:
    if isinstance(place, int) or place is None:
        return False
    path = os.fsdecode(place)
    parents = [value for value in values[1:] if isinstance(value, int) and value > 2]
    if not os.path.isabs(path) and parents:  # shutil.rmtree names files by their open folder  # noqa: PTH117
        with suppress(OSError):
            path = f"{os.readlink(f'/proc/self/fd/{parents[-1]}')}/{path}"  # noqa: PTH115
    path = os.path.abspath(path)  # noqa: PTH100
    return any(path == root or path.startswith(root + os.sep) for root in roots)


def _drop_capabilities() -> None:
    """What lets root write where the mode of a folder forbids it."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    none = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(Header(0x20080522, 0)), none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    _serve()
