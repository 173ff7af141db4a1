"""Whole or nothing, also where the process is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interlace.export import aside
from interlace.export.aside import written_aside

NAMES = ("model.xml.json", "model.bin", "model.xml")


def _fill(folder: Path, text: str) -> None:
    for name in NAMES:
        (folder / name).write_text(f"{text} {name}")
    (folder / "compared").mkdir()
    (folder / "compared" / "graph.onnx").write_text("for comparison")


def _interrupted(output: Path) -> None:
    with written_aside(output) as folder:
        _fill(folder, "new")
        raise KeyboardInterrupt


def _there(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_all_files_appear_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "new" / "model.xml"
    with written_aside(output) as folder:
        _fill(folder, "new")
        assert not any((output.parent / name).exists() for name in NAMES)
    assert _there(output.parent) == {name: f"new {name}" for name in sorted(NAMES)}


def test_after_an_error_the_older_files_are_there(tmp_path: Path) -> None:
    with written_aside(tmp_path / "model.xml") as folder:
        _fill(folder, "old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "model.xml")
    assert _there(tmp_path) == {name: f"old {name}" for name in sorted(NAMES)}


def test_a_folder_that_cannot_be_is_named_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    output = tmp_path / "file" / "model.xml"
    with pytest.raises(OSError, match=r"file/.*cannot be written: a part of the path is a file"):
        _interrupted(output)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_ended_between_two_names_the_main_file_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    with written_aside(tmp_path / "model.xml") as folder:
        _fill(folder, "old")
    replace, names = Path.replace, []

    def ending(self: Path, target: Path) -> Path:
        if len(names) == moved:
            raise KeyboardInterrupt
        names.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", ending)
    with pytest.raises(KeyboardInterrupt), written_aside(tmp_path / "model.xml") as folder:
        _fill(folder, "new")
    assert names == ["model.bin", "model.xml.json"][:moved]
    assert not (tmp_path / "model.xml").exists()


def test_a_kill_leaves_no_final_name_and_the_next_export_tidies_up(tmp_path: Path) -> None:
    code = f"""
import importlib.util, os, pathlib, signal
spec = importlib.util.spec_from_file_location("aside", {str(aside.__file__)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with module.written_aside(pathlib.Path({str(tmp_path / "model.xml")!r})) as folder:
    (folder / "model.xml").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert {path.suffix for path in tmp_path.iterdir()} == {".part", ".lock"}
    with written_aside(tmp_path / "model.xml") as folder:
        assert list(folder.iterdir()) == []
        _fill(folder, "new")
    assert sorted(_there(tmp_path)) == sorted(NAMES)


def test_two_exports_to_one_name_are_not_mixed(tmp_path: Path) -> None:
    output = tmp_path / "model.xml"
    with written_aside(output) as folder:
        _fill(folder, "first")
        with (
            pytest.raises(ValueError, match=r"model\.xml: an export is under way in process"),
            written_aside(output),
        ):
            pass
    assert _there(tmp_path) == {name: f"first {name}" for name in sorted(NAMES)}
