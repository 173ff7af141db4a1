from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, Annotations, read_annotations

Write = Callable[[str], Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.mp4", "sub/c d.mp4", "comma, in name.mp4"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "videos"


def read(root: Path, text: str | bytes, **arguments: object) -> Annotations:
    file = root.parent / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_annotations(root, file, format="csv", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.mp4,walk\nsub/c d.mp4,run\n",
        "a.mp4,walk\nsub/c d.mp4,run",
        "\ufeffpath,label\r\na.mp4,walk\r\n\r\nsub/c d.mp4,run\r\n",
        "label,group,path\nwalk,g1,a.mp4\nrun,g2,sub/c d.mp4\n",
        'path, label\n"a.mp4", walk\n"sub/c d.mp4", "run"\n',
    ],
    ids=["header", "no header", "BOM and CRLF", "other columns", "quotes and spaces"],
)
def test_names_become_sorted_classes(root: Path, text: str) -> None:
    annotations = read(root, text)
    assert annotations.classes == ("run", "walk")
    assert [(s.path, s.labels) for s in annotations.samples] == [
        (root / "a.mp4", (1,)),
        (root / "sub/c d.mp4", (0,)),
    ]
    assert not annotations.multi_label


def test_numbers_are_indices(root: Path) -> None:
    annotations = read(root, "path,label\na.mp4,2\nb.mp4,0\n")
    assert annotations.classes == ("0", "1", "2")
    assert annotations.class_counts == (1, 0, 1)


def test_numbers_refer_to_the_label_file(root: Path) -> None:
    (root.parent / "names.txt").write_text("jump\nwalk\nrun\n")
    annotations = read(root, "a.mp4,2\nb.mp4,0\n", labels=root.parent / "names.txt")
    assert annotations.classes == ("jump", "walk", "run")
    assert [s.labels for s in annotations.samples] == [(2,), (0,)]


def test_numbers_are_names_if_the_known_classes_are_numbers(root: Path) -> None:
    annotations = read(root, "a.mp4,1\nb.mp4,3\n", classes=("1", "2", "3"))
    assert [s.labels for s in annotations.samples] == [(0,), (2,)]


@pytest.mark.parametrize("label", ["run;walk", '"run; walk"'])
def test_several_names(root: Path, label: str) -> None:
    annotations = read(root, f"path,label\na.mp4,{label}\nb.mp4,jump\n")
    assert annotations.multi_label
    assert annotations.classes == ("jump", "run", "walk")
    assert [s.labels for s in annotations.samples] == [(1, 2), (0,)]


def test_several_indices(root: Path) -> None:
    annotations = read(root, 'path,label\na.mp4,"4,1"\nb.mp4,0\n')
    assert annotations.multi_label
    assert [s.labels for s in annotations.samples] == [(1, 4), (0,)]


def test_commas_in_quoted_names(root: Path) -> None:
    annotations = read(root, 'path,label\n"comma, in name.mp4","lifting, then dropping"\n')
    assert annotations.classes == ("lifting, then dropping",)
    assert annotations.samples[0].path == root / "comma, in name.mp4"


def test_bounds_in_seconds(root: Path) -> None:
    annotations = read(root, "path,label,start,end\na.mp4,x,1.5,4\na.mp4,x,,2\nb.mp4,x,,\n")
    assert [(s.start_seconds, s.end_seconds) for s in annotations.samples] == [
        (1.5, 4.0),
        (None, 2.0),
        (None, None),
    ]


def test_paths_in_root_then_beside_the_file_then_absolute(root: Path) -> None:
    (root.parent / "a.mp4").touch()
    (root.parent / "beside.mp4").touch()
    annotations = read(root, f"a.mp4,x\nbeside.mp4,x\n{root / 'b.mp4'},x\n")
    assert [s.path for s in annotations.samples] == [
        root / "a.mp4",
        root.parent / "beside.mp4",
        root / "b.mp4",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.mp4,x\nb.mp4\n", r"list\.csv:3: found 'b\.mp4', expected path,label"),
        (
            "path,label\na.mp4,\n",
            r"list\.csv:2: found no label in 'a\.mp4,', expected path,label \(clips without",
        ),
        ("path,label\n,x\n", r"list\.csv:2: found ',x', expected path,label"),
        ("path,label\na.mp4,x;\n", r"list\.csv:2: found no label"),
        ("path,group\na.mp4,x\n", r"list\.csv:1: found the header 'path,group', expected path,label"),
        ("a.mp4,x,one,2\n", r"list\.csv:1: found 'one', expected a time in seconds"),
        ("a.mp4,x,-1,2\n", r"list\.csv:1: found '-1', expected a time"),
        ("a.mp4,x,nan,2\n", r"list\.csv:1: found 'nan', expected a time"),
        ("a.mp4,x,3,2\n", r"list\.csv:1: found end 2 s and start 3 s, expected an end after the start"),
        ("path,label\n\na.mp4,-1\n", r"list\.csv:3: found label -1, expected an index from 0"),
        ('path,label\na.mp4,"x\n', r"list\.csv:2: found broken quoting"),
        ("path,label\n", r"list\.csv: found no clip, expected at least one"),
        (b"path,label\na.mp4,caf\xe9\n", r"list\.csv:2: found a byte that is not UTF-8"),
    ],
)
def test_malformed(root: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(root, text)


def test_missing_files_are_counted_and_named(root: Path) -> None:
    text = "path,label\na.mp4,x\n" + "".join(f"no{i}.mp4,x\n" for i in range(4))
    with pytest.raises(
        AnnotationError, match=r"list\.csv:3: found .* 4 of 5 are missing: .*no0.*no1.*no2\.mp4, \.\.\.,"
    ):
        read(root, text)
    annotations = read(root, text, missing="skip")
    assert [s.path.name for s in annotations.samples] == ["a.mp4"]
    assert [path.name for path in annotations.missing] == ["no0.mp4", "no1.mp4", "no2.mp4", "no3.mp4"]
    assert "4 more are not on disk" in annotations.source


def test_unknown_name_tells_the_nearest(root: Path) -> None:
    with pytest.raises(
        AnnotationError, match=r"list\.csv:2: found label 'walkin', .*the nearest is 'walking'"
    ):
        read(root, "path,label\na.mp4,walkin\n", classes=("running", "walking"))


def test_index_beyond_the_known_classes(root: Path) -> None:
    with pytest.raises(AnnotationError, match=r"list\.csv:1: found label 2, expected an index from 0 to 1"):
        read(root, "a.mp4,2\n", classes=("running", "walking"))


def test_known_classes_keep_their_order(root: Path) -> None:
    annotations = read(root, "a.mp4,walk\n", classes=("walk", "run"))
    assert annotations.classes == ("walk", "run")
    assert annotations.samples[0].labels == (0,)
