from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, Annotations, read_annotations


def read(root: Path, text: str, *present: str, labels: str | None = None) -> Annotations:
    for name in present:
        (root / name).mkdir(parents=True)
    (root / "list.txt").write_text(text)
    if labels is not None:
        (root / "category.txt").write_text(labels)
    names = None if labels is None else root / "category.txt"
    return read_annotations(root, root / "list.txt", format="tsn", labels=names)


def test_frame_folders(tmp_path: Path) -> None:
    text = "something/v1/img/74225 60 2\nmy clips/a 3 41 0\n"
    annotations = read(tmp_path, text, "something/v1/img/74225", "my clips/a 3", labels="push\npull\nlift\n")
    assert annotations.classes == ("push", "pull", "lift")
    assert [(s.path, s.num_frames, s.labels) for s in annotations.samples] == [
        (tmp_path / "something/v1/img/74225", 60, (2,)),
        (tmp_path / "my clips/a 3", 41, (0,)),
    ]


def test_several_labels(tmp_path: Path) -> None:
    annotations = read(tmp_path, "a 90 1,4,7\nb 75 0\n", "a", "b")
    assert annotations.multi_label
    assert annotations.classes == tuple("01234567")
    assert [s.labels for s in annotations.samples] == [(1, 4, 7), (0,)]


def test_two_columns(tmp_path: Path) -> None:
    annotations = read(tmp_path, "dir/a b.mp4 1\nc.mp4 0\n", "dir/a b.mp4", "c.mp4")
    assert [(s.path.name, s.num_frames, s.labels) for s in annotations.samples] == [
        ("a b.mp4", None, (1,)),
        ("c.mp4", None, (0,)),
    ]


def test_two_columns_with_a_number_at_the_end_of_the_path(tmp_path: Path) -> None:
    annotations = read(tmp_path, "clip 12 1\nclip 13 0\n", "clip 12", "clip 13")
    assert [(s.path.name, s.num_frames) for s in annotations.samples] == [
        ("clip 12", None),
        ("clip 13", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 60 1\nb 1\n", r"list\.txt:2: found 'b 1', expected 'path num_frames label'"),
        ("a 60 1\n\nb 0 1\n", r"list\.txt:3: found 'b 0 1', expected 'path num_frames label'"),
        ("a 60 1\nb 60 x\n", r"list\.txt:2: found 'b 60 x'"),
        ("a 60 1\nb 60 1,\n", r"list\.txt:2: found 'b 60 1,'"),
        ("a -1 1\n", r"list\.txt:1: found 'a -1 1', expected 'path num_frames label'"),
        ("a\n", r"list\.txt:1: found 'a', expected 'path num_frames label'"),
        ("a.mp4 1\nb.mp4\n", r"list\.txt:2: found 'b\.mp4', expected 'path label'"),
    ],
)
def test_malformed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path, text)


def test_index_beyond_the_label_file(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError, match=r"list\.txt:2: found label 2, expected an index from 0 to 1 \(2 classes"
    ):
        read(tmp_path, "a 60 1\nb 60 2\n", "a", "b", labels="push\npull\n")
