"""A name holds a whole file or folder, or what it held before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from interlace.files import whole_file, whole_folder

KILLED_WHILE_WRITING = """
import os, pathlib, signal, sys
from interlace.files import whole_file, whole_folder
path = pathlib.Path(sys.argv[2])
with {"file": whole_file, "folder": whole_folder}[sys.argv[1]](path) as beside:
    (beside / "inside" if beside.is_dir() else beside).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=[0o022, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _write(path: Path, text: str, fault: Callable[[], None] = lambda: None) -> None:
    with whole_file(path) as beside:
        beside.write_text(text)
        fault()


def _fill(path: Path, text: str, fault: Callable[[], None] = lambda: None) -> None:
    with whole_folder(path) as beside:
        (beside / "below").mkdir()
        (beside / "below" / "a.txt").write_text(text)
        fault()


def _broken() -> None:
    raise OSError("the cable was pulled out")


def test_the_mode_is_that_of_any_new_file(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a.safetensors"
    with whole_file(path) as beside:
        save_file({"a": torch.zeros(2)}, beside)  # leaves a file that its owner alone can read
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(OSError, match="the cable was pulled out"):
        _write(path, "hal", _broken)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_earlier_folder(tmp_path: Path) -> None:
    path = tmp_path / "a"
    _fill(path, "before")
    with pytest.raises(OSError, match="the cable was pulled out"):
        _fill(path, "hal", _broken)
    assert (path / "below" / "a.txt").read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a"
    _fill(path, "first")
    (path / "more.txt").touch()
    _fill(path, "second")
    assert [file.name for file in path.iterdir()] == ["below"]
    assert (path / "below" / "a.txt").read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as first, whole_file(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # it was the last to be whole
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_folder_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with whole_folder(path) as first:
        (first / "first").touch()
        _fill(path, "second")
    assert [file.name for file in path.iterdir()] == ["first"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, kind, str(path)]
    assert subprocess.run(command, check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.txt.")
    _write(tmp_path / "b.txt", "another name")
    assert left.exists()
    _write(path, "new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    held = """
import pathlib, sys
from interlace.files import whole_file
with whole_file(pathlib.Path(sys.argv[1])) as beside:
    beside.write_text("theirs")
    print("writing", flush=True)
    sys.stdin.readline()
"""
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", held, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        _write(path, "ours")
        assert path.read_text() == "ours"
        other.communicate("go on\n")
    assert other.returncode == 0
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_of_an_unknown_process_that_is_locked_stays(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    left = tmp_path / ".a.txt.999999999-0123abcd.part"  # as a process of another container would have it
    with left.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _write(tmp_path / "a.txt", "ours")
        assert left.exists()
    _write(tmp_path / "a.txt", "ours")
    assert not left.exists()


def test_the_longest_name_of_the_disk_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120 + ".json")
    _write(path, "long")
    assert path.read_text() == "long"


@pytest.mark.parametrize(
    ("place", "number", "reason"),
    [
        ("x" * 300, errno.ENAMETOOLONG, "the name is too long for this disk; give a shorter one"),
        ("file/a.txt", errno.ENOTDIR, "a part of the path is a file, not a folder; write to another folder"),
        (
            "file/below/a.txt",
            errno.ENOTDIR,
            "a part of the path is a file, not a folder; write to another folder",
        ),
        ("folder", errno.EISDIR, "there is a folder of this name; give another name"),
    ],
)
def test_a_name_that_cannot_be_is_told_in_words(tmp_path: Path, place: str, number: int, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="cannot be written") as problem:
        _write(tmp_path / place, "text")
    assert str(problem.value) == f"{tmp_path / place} cannot be written: {reason}"
    assert problem.value.errno in (number, errno.EEXIST)
