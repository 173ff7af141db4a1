from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, read_annotations
from interlace.data.annotations.kinetics import splits_in

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
ROWS = (
    "testifying,---QUuC4vJs,84,94,validate,0\n"
    '"playing, then resting",--3ouPhoy2A,20,30,train,0\n'
    "air drumming,-0H0fYbcW1k,3,13,train,1\n"
    "air drumming,-4-87UgJcUw,0,10,train,0\n"
)
FILES = (
    "val/testifying/---QUuC4vJs_000084_000094.mp4",
    "--3ouPhoy2A_000020_000030.mp4",
    "train/air_drumming/-0H0fYbcW1k_000003_000013.mp4",
    "train/-4-87UgJcUw.mp4",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "kinetics.csv").write_text(HEADER + ROWS)
    return tmp_path / "kinetics.csv"


def test_files_are_found_in_every_layout(file: Path) -> None:
    annotations = read_annotations(file.parent, file)
    assert annotations.source.startswith("kinetics: ")
    assert annotations.classes == ("air drumming", "playing, then resting", "testifying")
    assert [s.labels for s in annotations.samples] == [(2,), (1,), (0,), (0,)]
    assert [s.path for s in annotations.samples] == [file.parent / name for name in FILES]
    assert annotations.samples[0].start_seconds is None  # the file is cut already


def test_published_shape_without_is_cc(file: Path) -> None:
    file.write_text("label,youtube_id,time_start,time_end,split\ntestifying,---QUuC4vJs,84,94,validate\n")
    assert len(read_annotations(file.parent, file)) == 1


def test_split(file: Path) -> None:
    assert splits_in(file) == {"train", "val"}
    assert len(read_annotations(file.parent, file, split="train")) == 3
    assert len(read_annotations(file.parent, file, split="val")) == 1
    with pytest.raises(AnnotationError, match=r"no clip of the split 'test'"):
        read_annotations(file.parent, file, split="test")


def test_missing(file: Path) -> None:
    (file.parent / FILES[1]).unlink()
    with pytest.raises(
        AnnotationError, match=r"kinetics\.csv:3: .* 1 of 4 are missing: .*--3ouPhoy2A_000020_000030"
    ):
        read_annotations(file.parent, file)
    annotations = read_annotations(file.parent, file, missing="skip")
    assert len(annotations) == 3
    assert annotations.classes == ("air drumming", "playing, then resting", "testifying")
    assert [path.name for path in annotations.missing] == ["--3ouPhoy2A_000020_000030.mp4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "x,abc,1,11,train\n", r":2: found 5 cells: 'x,abc,1,11,train', expected 6"),
        (HEADER + "x,abc,one,11,train,0\n", r":2: found time_start 'one', time_end '11'"),
        (HEADER + ",abc,1,11,train,0\n", r":2: found ',abc,1,11,train,0', expected a label"),
        (
            "youtube_id,time_start,time_end,split\nabc,1,11,test\n",
            r":1: found no label column .*without labels",
        ),
        ("x,abc,1,11,train\n", r":1: found 'x,abc,1,11,train', expected the header"),
    ],
)
def test_malformed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "k.csv").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(tmp_path, tmp_path / "k.csv", format="kinetics")
