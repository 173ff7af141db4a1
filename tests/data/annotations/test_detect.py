from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, detect_format, read_annotations


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("train.csv", "path,label\na.mp4,x\n", "csv"),
        ("train.csv", "Label,Path\nx,a.mp4\n", "csv"),
        ("train.csv", "dir/a.mp4,x\n", "csv"),
        ("train.txt", "a b 3.mp4,7,0.5,2\n", "csv"),
        ("train.csv", "a.mp4 3\n", "tsn"),
        ("list.txt", "dir/a 30 7\n", "tsn"),
        ("list.txt", "dir a 30 7,8\n", "tsn"),
        ("list.txt", "Archery/v_Archery_g08_c02.avi 1\nBaby/v_Baby_g01_c01.avi 0\n", "tsn"),
        ("list.txt", "Archery/v_Archery_g08_c02.avi 120 1\n", "tsn"),
        ("testlist01.txt", "Archery/v_Archery_g08_c02.avi\n", "ucf101"),
        ("k.csv", "label,youtube_id,time_start,time_end,split\nx,abc,1,11,train\n", "kinetics"),
        ("train.csv", "74225;Holding something\n", "something_v1"),
        ("jester-v1-train.csv", "74225;Swiping Left\n", "jester"),
        ("train.json", ' [{"id": "1"}]', "something_v2"),
        ("jump_test_split3.txt", "a.avi 1\n", "hmdb51"),
    ],
)
def test_by_content(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    assert detect_format(tmp_path / name) == expected


def test_class_file_beside_makes_it_ucf101(tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_text("1 Archery\n")
    (tmp_path / "trainlist01.txt").write_text("Archery/v_Archery_g08_c02.avi 1\n")
    assert detect_format(tmp_path / "trainlist01.txt") == "ucf101"


def test_folders(tmp_path: Path) -> None:
    assert detect_format(tmp_path) == "folder"
    (tmp_path / "jump_test_split1.txt").touch()
    assert detect_format(tmp_path) == "hmdb51"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Archery/v_Archery_g08_c02.avi 1\n",
            r"list\.txt:1: .*it could be tsn or ucf101; name it with format",
        ),
        ("\nmy clip 1,4\n", r"list\.txt:2: .*it could be tsn or csv; name it with format"),
        ("just words\n", r"list\.txt:1: .*it fits none; name it with format"),
        ("", r"list\.txt: found an empty file"),
    ],
)
def test_in_doubt(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        detect_format(tmp_path / "list.txt")


def test_unknown_format_and_split(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"format='cvs', expected auto or one of folder, csv, kinetics"):
        read_annotations(tmp_path, format="cvs")
    with pytest.raises(AnnotationError, match=r"split='train', but the format 'folder' has no splits inside"):
        read_annotations(tmp_path, split="train")
