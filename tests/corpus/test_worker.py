"""What a process of the pool says of videos, whatever goes wrong with them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from interlace.corpus.arrow import prediction_schema
from interlace.corpus.inputs import Inputs
from interlace.corpus.ledger import Ledger
from interlace.corpus.store import Store
from interlace.corpus.work import How, Predicting
from interlace.corpus.worker import Job, Worker, pack
from interlace.inference.batch import AnswerOptions, Failure


def test_a_video_that_is_begun_again_and_again_is_known() -> None:
    ledger = Ledger()
    assert ledger.begin("a", None) == 0
    assert ledger.begin("bad", "a") == 0  # the process dies; another one is given the part
    assert ledger.begin("a", None) == 0
    assert ledger.begin("bad", "a") == 1
    assert ledger.begin("a", None) == 0
    assert ledger.begin("bad", "a") == 2
    assert ledger.begin("c", "bad") == 0
    assert ledger.begin("bad", "c") == 0


def local_worker(tmp_path: Path, do: Any) -> Worker:
    """A worker in this process, whose ledger is a plain object."""
    worker = Worker.__new__(Worker)
    worker.job = Job(Predicting(AnswerOptions(), How()), Store(str(tmp_path)), str(tmp_path), 1, 2)
    ledger = Ledger()
    worker.ledger = SimpleNamespace(begin=SimpleNamespace(remote=ledger.begin))
    worker.ray = SimpleNamespace(get=lambda value: value)
    worker.schema, worker.do = prediction_schema(), do
    return worker


def test_a_part_has_a_row_for_every_window_and_every_failure(tmp_path: Path) -> None:
    def do(path: Path) -> Any:
        if path.name == "bug.mp4":
            raise RuntimeError("index 5\nis out of bounds")
        if path.name == "gone.mp4":
            return Failure(str(path), "there is no such file")
        return [{"label": "wave", "score": 0.75, "start_seconds": float(i)} for i in range(int(path.stem))]

    inputs = Inputs(("2.mp4", "bug.mp4", None, "gone.mp4", "1.mp4"), pa.table({"id": [5, 6, 7, 8, 9]}))
    content = local_worker(tmp_path, do).part(["r1", "r2", "r3", "r4", "r5"], inputs)
    table = pa.parquet.read_table(io.BytesIO(content))
    assert table["id"].to_pylist() == [5, 5, 6, 7, 8, 9]
    assert table["path"].to_pylist() == ["2.mp4", "2.mp4", "bug.mp4", "", "gone.mp4", "1.mp4"]
    assert table["start_seconds"].to_pylist() == [0.0, 1.0, None, None, None, 0.0]
    reason = "RuntimeError: index 5 is out of bounds"
    assert table["error"].to_pylist() == [
        None,
        None,
        reason,
        "the row has no path",
        "there is no such file",
        None,
    ]
    assert b'"failed": 3' in table.schema.metadata[b"interlace"]


def test_after_so_many_deaths_a_video_is_given_up(tmp_path: Path) -> None:
    worker = local_worker(tmp_path, lambda path: pytest.fail("worked on"))
    found = worker.answer("bad.mp4", 2)
    assert found == Failure(
        "bad.mp4", "its worker died or was killed 2 times while it was worked on; given up"
    )


def test_a_part_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    worker = local_worker(tmp_path, lambda path: [{"label": "wave"}])
    worker.problem = ""
    row = {"name": ["part-1.parquet"], "digests": [["r1"]], "rows": [pack(Inputs(("a.mp4",)))]}
    worker.job = replace(worker.job, store=Store(str(tmp_path / "there")))
    assert worker(pa.table(row)) == {"name": ["part-1.parquet"], "videos": [1], "problem": [""]}
    assert (tmp_path / "there" / "part-1.parquet").is_file()
    worker.job = replace(worker.job, store=Store(str(tmp_path / "out" / "parts")))
    (told,) = worker(pa.table(row))["problem"]
    assert "part-1.parquet" in told
