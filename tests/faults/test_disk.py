"""Disks that are full or can only be read: one line that names the file, and nothing that was there is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Inputs, arguments, contents, leftovers, make_inputs
from killing import run_command

WRITERS = ("render", "flow", "av features", "ensemble", "import", "evaluate", "predict", "shard")
REMEDIES = (
    "this user may not write there; change the folder's mode, or write to another folder",
    "(Permission denied); choose another folder",  # before anything is computed
)
EXPORTS = ("export torch", "export onnx", "export openvino")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"), make_video)


def _in_each_tier(*quick: str, without: str = "") -> list[object]:
    slow = [name for name in (*WRITERS, *EXPORTS) if name not in (*quick, without)]
    return [*quick, *(pytest.param(name, marks=pytest.mark.faults) for name in slow)]


def _error(text: str) -> str:
    assert "Traceback" not in text, text
    (line,) = (line for line in text.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.parametrize("name", _in_each_tier("ensemble", "flow", without="evaluate"))
def test_no_room_for_the_file(name: str, inputs: Inputs, tmp_path: Path) -> None:
    """No file may have more than 200 bytes, or as many as are needed but one: writing fails as on a full disk.

    The processes of an evaluation exchange frames in shared memory, which has files too: it is left out here.
    """
    output = tmp_path / "out"
    output.mkdir()
    ended = run_command(arguments(name, inputs, output), output, largest_file=200)
    assert ended.status == 1, ended.text
    line = _error(ended.text)
    assert str(output) in line
    assert "cannot be written: files may not grow that large here (ulimit -f)" in line
    assert contents(output) == {}
    after = run_command(arguments(name, inputs, output), output)
    assert after.status == 0, after.text
    assert leftovers(output) == []
    largest = max(path.stat().st_size for path in output.rglob("*") if path.is_file())
    shutil.rmtree(output)
    output.mkdir()
    ended = run_command(arguments(name, inputs, output), output, largest_file=largest - 1)
    assert ended.status == 1, ended.text
    assert "cannot be written: " in _error(ended.text)
    assert contents(output) == {}


@pytest.mark.parametrize("name", _in_each_tier("ensemble", "flow"))
def test_a_folder_that_may_not_be_written_to(name: str, inputs: Inputs, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir(mode=0o555)
    ended = run_command(arguments(name, inputs, output), output, powerless=True)
    assert ended.status == 1, ended.text
    line = _error(ended.text)
    assert str(output) in line
    assert any(remedy in line for remedy in REMEDIES)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["ensemble", pytest.param("evaluate", marks=pytest.mark.faults)])
def test_the_earlier_result_stays(name: str, inputs: Inputs, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = arguments(name, inputs, output)
    assert run_command(command, output).status == 0
    before = contents(output)
    output.chmod(0o555)
    assert run_command(command, output, powerless=True).status == 1
    output.chmod(0o755)
    assert contents(output) == before


@pytest.fixture
def mounts() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root mounts disks, and `unshare` is needed so that nobody else sees them")
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount disks")


def _on_a_disk(mount: str, command: list[str], output: Path, kept: Path) -> subprocess.CompletedProcess[str]:
    """Run a command while a disk is mounted at its output; what the disk holds afterwards is copied to ``kept``."""
    script = f'{mount}; shift 2; "$@"; status=$?; cp -r "$OUT/." "$KEPT"; exit $status'
    called = [sys.executable, "-c", "import sys; from interlace.cli import main; sys.exit(main())", *command]
    kept.mkdir()
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", "-", "-", *called],
        env={**os.environ, "OUT": str(output), "KEPT": str(kept), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.faults
@pytest.mark.parametrize("name", [*WRITERS, *EXPORTS])
def test_a_disk_of_16_kilobytes(name: str, mounts: None, inputs: Inputs, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    mount = 'mount -t tmpfs -o size=16k tmpfs "$OUT"'
    done = _on_a_disk(mount, arguments(name, inputs, output), output, tmp_path / "kept")
    if done.returncode == 0:  # it has little to write
        assert name in ("predict", "shard")
        return
    assert done.returncode == 1, done.stderr
    line = _error(done.stderr)
    assert str(output) in line
    assert "cannot be written: the disk is full; make room, or write to another disk" in line
    contents(tmp_path / "kept")  # each opens
    assert leftovers(tmp_path / "kept") == []


@pytest.mark.faults
@pytest.mark.parametrize("name", [*WRITERS, *EXPORTS])
def test_a_disk_that_can_only_be_read(name: str, mounts: None, inputs: Inputs, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    mount = 'mount --bind "$OUT" "$OUT" && mount -o remount,ro,bind "$OUT"'
    done = _on_a_disk(mount, arguments(name, inputs, output), output, tmp_path / "kept")
    assert done.returncode == 1, done.stderr
    line = _error(done.stderr)
    assert str(output) in line
    assert any(
        remedy in line
        for remedy in ("the disk can only be read; write to another folder", "choose another folder")
    )
