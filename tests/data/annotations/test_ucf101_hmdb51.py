from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, read_annotations
from interlace.data.splits import read_splits

CLIPS = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
    "Archery/v_Archery_g08_c02.avi",
    "Archery/v_Archery_g01_c01.avi",
)


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    for clip in CLIPS:
        path = tmp_path / "UCF-101" / clip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n2 Archery\r\n3 BabyCrawling\r\n")
    (lists / "trainlist01.txt").write_text(f"{CLIPS[0]} 1\r\n{CLIPS[1]} 2\r\n")
    (lists / "testlist01.txt").write_text(f"{CLIPS[2]}\r\n")
    return tmp_path / "UCF-101"


def test_ucf101(ucf: Path) -> None:
    lists = ucf.parent / "ucfTrainTestlist"
    train, test = read_splits(ucf, lists / "trainlist01.txt", lists / "testlist01.txt")
    assert train.source.startswith("ucf101: ")
    assert train.classes == test.classes == ("ApplyEyeMakeup", "Archery", "BabyCrawling")
    assert [s.labels for s in train.samples] == [(0,), (1,)]
    assert [(s.path, s.labels) for s in test.samples] == [(ucf / CLIPS[2], (1,))]


def test_ucf101_without_class_file(ucf: Path) -> None:
    lists = ucf.parent / "ucfTrainTestlist"
    (lists / "classInd.txt").unlink()
    annotations = read_annotations(ucf, lists / "trainlist01.txt", format="ucf101")
    assert annotations.classes == ("ApplyEyeMakeup", "Archery")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{CLIPS[1]} 1", r":1: found '.*c02\.avi 1', expected an index that agrees .*'Archery' is 2"),
        (f"{CLIPS[1]} 9", r":1: found .*'Archery' is 2"),
        ("v_Archery_g08_c02.avi 2", r":1: found .*, expected 'Class/video\.avi index'"),
        (f"{CLIPS[1]} two", r":1: found .*, expected 'Class/video\.avi index'"),
    ],
)
def test_ucf101_malformed(ucf: Path, line: str, message: str) -> None:
    file = ucf.parent / "ucfTrainTestlist" / "trainlist02.txt"
    file.write_text(line)
    with pytest.raises(AnnotationError, match=r"trainlist02\.txt" + message):
        read_annotations(ucf, file, format="ucf101")


@pytest.fixture
def hmdb(tmp_path: Path) -> Path:
    split_files = tmp_path / "splits"
    split_files.mkdir()
    for name in ("brush_hair", "cartwheel"):
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"#1 {name}_{i}.avi").touch()
        codes = {1: (1, 1, 2, 0), 2: (2, 0, 1, 1)}
        for number, code in codes.items():
            lines = [f"#1 {name}_{i}.avi {code[i]} \n" for i in range(4)]
            (split_files / f"{name}_test_split{number}.txt").write_text("".join(lines))
    return tmp_path


def test_hmdb51(hmdb: Path) -> None:
    train = read_annotations(hmdb, hmdb / "splits", split="train")
    test = read_annotations(hmdb, hmdb / "splits", split="test")
    assert train.classes == test.classes == ("brush_hair", "cartwheel")
    assert train.class_counts == (2, 2)
    assert [(s.path, s.labels) for s in test.samples] == [
        (hmdb / "brush_hair" / "#1 brush_hair_2.avi", (0,)),
        (hmdb / "cartwheel" / "#1 cartwheel_2.avi", (1,)),
    ]


def test_hmdb51_other_splits(hmdb: Path) -> None:
    by_name = read_annotations(hmdb, hmdb / "splits", split="test2")
    by_file = read_annotations(hmdb, hmdb / "splits" / "cartwheel_test_split2.txt", split="test")
    assert by_name.samples == by_file.samples
    assert [s.path.name for s in by_name.samples] == ["#1 brush_hair_0.avi", "#1 cartwheel_0.avi"]


def test_hmdb51_holds_both_splits(hmdb: Path) -> None:
    train, val = read_splits(hmdb, train=hmdb / "splits")
    assert (train.class_counts, val.class_counts) == ((2, 2), (1, 1))


def test_hmdb51_malformed(hmdb: Path) -> None:
    file = hmdb / "splits" / "cartwheel_test_split1.txt"
    file.write_text("#1 cartwheel_0.avi 1\n#1 cartwheel_1.avi 3\n")
    with pytest.raises(
        AnnotationError, match=r"cartwheel_test_split1\.txt:2: found '#1 cartwheel_1\.avi 3', expected"
    ):
        read_annotations(hmdb, hmdb / "splits")
    with pytest.raises(AnnotationError, match=r"found split='first', expected train or test"):
        read_annotations(hmdb, hmdb / "splits", split="first")
    with pytest.raises(AnnotationError, match=r"found no CLASS_test_split3\.txt"):
        read_annotations(hmdb, hmdb / "splits", split="train3")
