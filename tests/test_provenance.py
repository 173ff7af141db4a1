from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interlace import __version__
from interlace.provenance import command_line, commit, describe_device, provenance, versions


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _checkout(folder: Path) -> Path:
    package = folder / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    _git(folder, "init", "-q")
    return package


def test_versions_name_this_package_and_missing_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlace.provenance.LIBRARIES", ("numpy", "surely-not-a-library"))
    found = versions()
    assert found["interlace"] == __version__
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found["surely-not-a-library"] == "not installed"


def test_commit_of_a_checkout_clean_and_changed(tmp_path: Path) -> None:
    package = _checkout(tmp_path)
    assert commit(package) is None  # not tracked yet
    _git(tmp_path, "add", ".")
    assert commit(package) is None  # no commit yet
    _git(tmp_path, "commit", "-qm", "first")
    head = _git(tmp_path, "rev-parse", "HEAD")
    assert commit(package) == head
    (package / "__init__.py").write_text("x = 1\n")
    assert commit(package) == f"{head}-dirty"


def test_commit_of_somebody_elses_repository_is_not_ours(tmp_path: Path) -> None:
    _checkout(tmp_path)
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "theirs")
    installed = tmp_path / ".venv" / "interlace"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert commit(installed) is None


def test_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None


def test_command_line_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/interlace", "predict", "my clip.mp4"])
    assert command_line() == "interlace predict 'my clip.mp4'"
    monkeypatch.setattr(sys, "argv", [""])
    assert command_line() == "python"


def test_describe_device() -> None:
    assert describe_device("cpu").startswith("cpu (")
    assert "threads" in describe_device("cpu")


def test_provenance_fits_into_json() -> None:
    found = json.loads(json.dumps(provenance()))
    assert set(found) == {"date", "command", "commit", "versions", "platform"}
