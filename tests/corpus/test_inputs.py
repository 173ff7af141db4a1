"""Rows out of names, and out of Parquet tables."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from interlace.corpus.inputs import Inputs, read_inputs
from interlace.corpus.worker import pack, unpack


@pytest.fixture
def table(tmp_path: Path) -> Path:
    columns = {"video": ["a.mp4", None, "a.mp4", "b.mp4"], "label": ["x", "y", "z", "z"], "id": [7, 8, 9, 9]}
    pa.parquet.write_table(pa.table(columns), tmp_path / "list.parquet")
    return tmp_path / "list.parquet"


def test_columns_go_along_and_give_way_to_those_of_answers(table: Path) -> None:
    inputs = read_inputs([str(table)], "video", ["label", "score"])
    assert inputs.paths == ("a.mp4", None, "a.mp4", "b.mp4")
    assert inputs.carried.to_pylist()[2] == {"input_label": "z", "id": 9}
    assert len(set(inputs.digests())) == 4


def test_folders_of_tables_and_urls(table: Path) -> None:
    other = pa.table({"video": ["c.mp4"], "more": [1.5]})
    pa.parquet.write_table(other, table.with_name("more.parquet"))
    both = read_inputs([f"file://{table}", str(table.with_name("more.parquet"))], "video", [])
    assert both.paths == ("a.mp4", None, "a.mp4", "b.mp4", "c.mp4")
    assert both.carried["more"].to_pylist() == [None] * 4 + [1.5]
    assert both.carried["id"].to_pylist() == [7, 8, 9, 9, None]


def test_rows_survive_the_way_to_another_process(table: Path) -> None:
    inputs = read_inputs([str(table)], "video", [])
    sent = unpack(pack(inputs.take([3, 1])))
    assert sent.paths == ("b.mp4", None)
    assert sent.carried.equals(inputs.carried.take([3, 1]))
    odd = Inputs((os.fsdecode(b"\xff.mp4"),))
    assert unpack(pack(odd)) == odd


def test_a_row_is_told_by_all_that_it_holds() -> None:
    carried = pa.table({"id": [1, 2, 1]})
    a, b, c = Inputs(("x", "x", "x"), carried).digests()
    assert Inputs(("x",), carried.slice(1, 1)).digests() == [b]
    assert len({a, b, c}) == 3


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("path", "has no column 'path'; it has video, label, id"),
        ("id", "column 'id' holds int64, not the paths"),
    ],
)
def test_wrong_columns(table: Path, column: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_inputs([str(table)], column, [])


def test_what_is_no_table(table: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.parquet: there is no such"):
        read_inputs(["absent.parquet"], "video", [])
    table.write_bytes(b"no table")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        read_inputs([str(table)], "video", [])
    with pytest.raises(ValueError, match="say in which column"):
        read_inputs([str(table)], None, [])


def test_names_that_would_be_there_twice(tmp_path: Path) -> None:
    file = tmp_path / "list.parquet"
    pa.parquet.write_table(pa.table({"video": ["a"], "label": ["x"], "input_label": ["y"]}), file)
    with pytest.raises(ValueError, match="rename some"):
        read_inputs([str(file)], "video", ["label"])
