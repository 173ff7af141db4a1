"""Errors of writing name the file, say what to do, and are what they were."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from interlace.files import whole_file
from interlace.files.write_errors import explained


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may have more than 2000 bytes; not while pytest itself writes, perhaps to a file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _save(path: Path, writer: str) -> None:
    with whole_file(path) as beside:
        match writer:
            case "text":
                beside.write_text("x" * 3000)
            case "safetensors":
                save_file({"a": torch.zeros(1000)}, beside)
            case "torch":
                with beside.open("wb") as file:
                    torch.save(torch.zeros(1000), file)


@pytest.mark.parametrize("writer", ["text", "safetensors", "torch"])
def test_a_disk_that_takes_no_more(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.bin"
    path.write_text("before")
    with pytest.raises(OSError, match="cannot be written") as problem, small_disk():
        _save(path, writer)
    assert str(problem.value) == (
        f"{path} cannot be written: files may not grow that large here (ulimit -f); "
        "lift the limit, or write to another disk"
    )
    assert problem.value.errno == errno.EFBIG
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your share of the disk is used up"),
        (PermissionError(errno.EACCES, "Permission denied", "out/a.txt"), "this user may not write there"),
        (OSError(errno.EROFS, "Read-only file system", "out"), "the disk can only be read"),
        (OSError(errno.EIO, "Input/output error"), "the disk does not work"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full; make room"),
    ],
)
def test_what_the_system_says_in_words(error: Exception, reason: str) -> None:
    with pytest.raises(OSError, match=f"^out/a.txt cannot be written: {reason}") as problem:
        _raise(error)
    assert "\n" not in str(problem.value)
    assert problem.value.__cause__ is error
    if isinstance(error, OSError):
        assert type(problem.value) is type(error)
        assert problem.value.errno == error.errno


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "in/video.mp4"),
        OSError(errno.ENOSPC, "No space left on device", "/elsewhere/b.txt"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        RuntimeError("out of memory"),
    ],
)
def test_errors_of_something_else_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as problem:
        _raise(error)
    assert problem.value is error


def _raise(error: Exception) -> None:
    with explained(Path("out/a.txt")):
        raise error
