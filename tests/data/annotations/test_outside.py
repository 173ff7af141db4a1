"""Paths of a list stay in the data folder, unless that is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.cli import main
from interlace.data.annotations import AnnotationError, read_annotations
from interlace.data.splits import read_splits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder, a clip beside it, and a link of the user's own that leads there."""
    root = tmp_path / "data"
    (root / "walk").mkdir(parents=True)
    for clip in (root / "walk" / "a.mp4", root / "walk" / "b.mp4", tmp_path / "other" / "c.mp4"):
        clip.parent.mkdir(exist_ok=True)
        clip.touch()
    (root / "linked").symlink_to(tmp_path / "other")
    return root


LISTS = {
    "csv": ("train.csv", "path,label\nwalk/a.mp4,walk\n{},walk\n"),
    "tsn": ("train.txt", "walk/a.mp4 8 0\n{} 8 0\n"),
}


@pytest.mark.parametrize("format", LISTS)
@pytest.mark.parametrize(
    "path", ["../other/c.mp4", "walk/../../other/c.mp4", "{tmp}/other/c.mp4", "linked/../data/../other/c.mp4"]
)
def test_a_path_that_leaves_the_folder(root: Path, tmp_path: Path, format: str, path: str) -> None:
    name, text = LISTS[format]
    file = root / name
    written = path.format(tmp=tmp_path)
    file.write_text(text.format(written))
    line = 3 if format == "csv" else 2
    for missing in ("raise", "skip"):
        with pytest.raises(AnnotationError) as caught:
            read_annotations(root, file, format=format, missing=missing)
        assert str(caught.value).startswith(f"{file}:{line}: found ")
        assert written.split("/")[-1] in str(caught.value)
        assert f"a path below {root}; if you trust the list, allow it (allow_outside)" in str(caught.value)
    allowed = read_annotations(root, file, format=format, outside=True)
    assert [sample.path.resolve() for sample in allowed.samples] == [
        root / "walk/a.mp4",
        tmp_path / "other/c.mp4",
    ]


@pytest.mark.parametrize(
    "path", ["linked/c.mp4", "walk/../walk/b.mp4", "{root}/walk/b.mp4", "../data/walk/b.mp4"]
)
def test_links_and_detours_within_the_folder_are_no_escape(root: Path, path: str) -> None:
    file = root / "train.csv"
    file.write_text(f"path,label\nwalk/a.mp4,walk\n{path.format(root=root)},walk\n")
    assert len(read_annotations(root, file)) == 2


def test_the_folder_of_the_list_counts_as_well(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "other" / "train.csv"
    file.write_text("path,label\nc.mp4,walk\n../other/c.mp4,run\nwalk/a.mp4,walk\n")
    found = [sample.path.name for sample in read_annotations(root, file).samples]
    assert found == ["c.mp4", "c.mp4", "a.mp4"]


def test_a_missing_file_outside_is_not_told_from_one_that_is_there(root: Path) -> None:
    """Else a list could find out what is on the disk."""
    for path in ("../other/c.mp4", "../other/nothing.mp4", "/etc/nothing.mp4"):
        file = root / "train.csv"
        file.write_text(f"path,label\nwalk/a.mp4,walk\n{path},walk\n")
        with pytest.raises(AnnotationError, match="outside of the data folder"):
            read_annotations(root, file, missing="skip")


@pytest.mark.parametrize(
    ("format", "name", "text"),
    [
        ("kinetics", "k.csv", "label,youtube_id,time_start,time_end,split\nwalk,../../other/c,0,10,train\n"),
        ("kinetics", "k.csv", "label,youtube_id,time_start,time_end,split\n../../other,c,0,10,train\n"),
        ("something_v2", "s.json", '[{"id": "../other/c", "template": "walking"}]'),
        ("ucf101", "testlist01.txt", "../c.mp4\n"),
    ],
)
def test_every_format_that_names_files(root: Path, tmp_path: Path, format: str, name: str, text: str) -> None:
    (tmp_path / "c.mp4").touch()
    file = root / name
    file.write_text(text)
    with pytest.raises(AnnotationError, match=rf"{name}:\d+: .*(outside of the data folder|not on disk)"):
        read_annotations(root, file, format=format)


def test_hmdb51(root: Path, tmp_path: Path) -> None:
    (root / "walk_test_split1.txt").write_text("../../other/c.mp4 1\n")
    with pytest.raises(AnnotationError, match="outside of the data folder"):
        read_annotations(root, root, format="hmdb51")


def test_the_option_of_every_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "train.csv").write_text("path,label\nwalk/a.mp4,walk\n../other/c.mp4,run\n")
    (root / "val.csv").write_text("path,label\nwalk/b.mp4,walk\n../other/d.mp4,run\n")
    (root.parent / "other" / "d.mp4").touch()
    assert main(["check", str(root)]) == 1
    told = capsys.readouterr().err
    assert "train.csv:3" in told
    assert "allow it with --allow_outside" in told
    assert main(["check", str(root), "--allow_outside"]) == 1  # the clips are empty files
    assert "c.mp4" in capsys.readouterr().out
    assert [len(part) for part in read_splits(root, outside=True)] == [2, 2]
    for verb in ("train", "evaluate", "check", "plot", "export"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert "--allow_outside" in capsys.readouterr().out
