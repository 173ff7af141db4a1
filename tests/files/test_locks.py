"""One process at a time, and never locked out by one that is dead."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interlace.files import locked

pytest.importorskip("fcntl")

HOLD = """
import os, pathlib, sys
from interlace.files import locked
with locked(pathlib.Path(sys.argv[1]), "runs/a: training"):
    child = os.fork() if sys.argv[2] == "fork" else 1
    if child:
        print(child, flush=True)
    sys.stdin.readline()
    os._exit(0)
"""


def _holder(path: Path, *, forks: bool) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", HOLD, str(path), "fork" if forks else "alone"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_second_one_is_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    process, _ = _holder(path, forks=False)
    with process:
        with (
            pytest.raises(ValueError, match="runs/a: training is under way") as problem,
            locked(path, "runs/a: training"),
        ):
            pass
        assert f"in process {process.pid} on {socket.gethostname()} since 20" in str(problem.value)
        assert "wait until it has ended" in str(problem.value)
        process.send_signal(signal.SIGKILL)
    with locked(path, "runs/a: training"):
        assert f'"process": {os.getpid()}' in path.read_text()
    assert list(path.parent.iterdir()) == []


def test_the_children_of_a_killed_process_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As data workers, which hold what their trainer held until they notice that it is gone."""
    path = tmp_path / ".lock"
    process, child = _holder(path, forks=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(child, 0)  # it is there and holds the lock, until its stdin is closed
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        process.communicate()

    monkeypatch.setattr(time, "sleep", wait)
    with locked(path, "runs/a: training"):
        assert f'"process": {os.getpid()}' in path.read_text()
    assert waits


def test_one_with_patience_has_its_turn_when_the_first_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".lock"
    process, _ = _holder(path, forks=False)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        process.communicate()  # it ends while we wait

    monkeypatch.setattr(time, "sleep", wait)
    with locked(path, "moves.jsonl: another study", patience=60.0):
        assert f'"process": {os.getpid()}' in path.read_text()
    assert waits


def test_patience_ends(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with (
        locked(path, "moves.jsonl: another study"),
        pytest.raises(ValueError, match=r"moves\.jsonl: another study is under way"),
        locked(path, "moves.jsonl: another study", patience=0.3),
    ):
        pass


def test_within_one_process_too(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path, "a.xml: an export"):
        with (
            pytest.raises(ValueError, match=r"a\.xml: an export is under way in process"),
            locked(path, "a.xml: an export"),
        ):
            pass
        assert path.exists()
    assert not path.exists()


def test_a_folder_that_cannot_be_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"\.lock cannot be written: a part of the path is a file"),
        locked(tmp_path / "file" / ".lock", "runs/a: training"),
    ):
        pass
