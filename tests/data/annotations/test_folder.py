from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, read_annotations


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_videos_and_frame_folders(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b.mp4", "walk/a.MKV", "walk/.hidden.mp4", "walk/notes.txt", "walk/b.npy")
    touch(
        tmp_path, "run/clip 1/00001.jpg", "run/clip 1/00002.jpg", "run/deeper/c.webm", ".cache/x.mp4", "y.mp4"
    )
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("run", "walk")
    assert [(s.path.relative_to(tmp_path).as_posix(), s.labels) for s in annotations.samples] == [
        ("run/clip 1", (0,)),
        ("run/deeper/c.webm", (0,)),
        ("walk/a.MKV", (1,)),
        ("walk/b.mp4", (1,)),
    ]


def test_a_stray_picture_and_hidden_folders_are_no_clips(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "walk/preview.jpg", "walk/.thumbnails/a.jpg")
    assert [s.path.name for s in read_annotations(tmp_path).samples] == ["a.mp4"]


def test_numbered_folders_are_names(tmp_path: Path) -> None:
    touch(tmp_path, "2/a.mp4", "10/b.mp4")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("10", "2")


def test_empty_folder_is_no_class_but_told(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "documents/readme.txt")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("walk",)
    assert annotations.notes == ("not classes, because they hold no video: documents",)


def test_classes_of_a_network(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "jumping/b.mp4")
    with pytest.raises(AnnotationError, match=r"found label 'jumping', .* \(the nearest is 'jump'\)"):
        read_annotations(tmp_path, classes=("walk", "run", "jump"))


def test_pictures_right_in_a_class_folder(tmp_path: Path) -> None:
    touch(tmp_path, "walk/00001.jpg", "walk/00002.jpg")
    with pytest.raises(AnnotationError, match=r"walk: found pictures right inside a class folder"):
        read_annotations(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    with pytest.raises(
        AnnotationError, match=r"found no class folder with videos \(0 folders inside\), expected .*CLASS"
    ):
        read_annotations(tmp_path)
    with pytest.raises(AnnotationError, match=r"there is no such file"):
        read_annotations(tmp_path, tmp_path / "train.csv")
    with pytest.raises(AnnotationError, match=r"found no folder there"):
        read_annotations(tmp_path / "nowhere", format="folder")
