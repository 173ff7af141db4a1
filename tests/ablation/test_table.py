from __future__ import annotations

import csv
import json

import pytest

from interlace.ablation.rows import Row, RowFacts
from interlace.ablation.table import RowResult, markdown_table, metrics_of, write_tables

ABOUT = {
    "data": "val.csv",
    "command": "interlace ablate",
    "commit": None,
    "date": "today",
    "versions": {"a": "1"},
}
RESULTS = [
    RowResult(
        Row(2, mirrored=True),
        RowFacts(own_parameters=100),
        {5: {"top1": 90.0, "top5": 99.0}, 0: {"top1": 80.0, "top5": 97.0}, 1: {"top1": 85.0, "top5": 98.0}},
    ),
    RowResult(
        Row(3, mirrored=False),
        RowFacts(60, note="smaller folds"),
        {0: {"top1": 70.0, "top5": 90.0}},
        {1: "diverged"},
    ),
    RowResult(Row(64, mirrored=True), RowFacts(problem="cannot | be built")),
]


def test_mean_and_spread_by_hand():
    first, second, third = RESULTS
    assert first.mean("top1") == 85.0
    assert first.spread("top1") == pytest.approx(5.0)  # sqrt((25 + 25 + 0) / 2)
    assert first.values("top1") == [80.0, 85.0, 90.0]  # by seed
    assert (second.mean("top1"), second.spread("top1")) == (70.0, None)
    assert (third.mean("top1"), third.note) == (None, "cannot | be built")
    assert second.note == "smaller folds; seed 1: diverged"


def test_markdown():
    lines = markdown_table(RESULTS).splitlines()
    assert lines[2] == "| 2 | yes | 100 | 85.00 | 5.00 | 3 | 80.00, 85.00, 90.00 | 42.9 |  |"
    assert lines[3] == "| 3 | no | 60 | 70.00 | - | 1 | 70.00 | - | smaller folds; seed 1: diverged |"
    assert lines[4] == "| 64 | yes | - | - | - | 0 | - | - | cannot \\| be built |"
    assert {line.replace("\\|", "").count("|") for line in lines} == {10}  # an escaped one divides nothing


def test_the_files_say_the_same(tmp_path):
    table = write_tables(tmp_path, RESULTS, ABOUT)
    assert table == tmp_path / "results.md"
    assert markdown_table(RESULTS) in table.read_text()
    assert "- command: `interlace ablate`" in table.read_text()
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["num_groups"], row["seed"], row["top1"], row["note"]) for row in rows] == [
        ("2", "0", "80.0", ""),
        ("2", "1", "85.0", ""),
        ("2", "5", "90.0", ""),
        ("3", "0", "70.0", "smaller folds"),
        ("3", "1", "", "diverged"),
        ("64", "", "", "cannot | be built"),
    ]
    numbers = json.loads((tmp_path / "results.json").read_text())
    assert numbers["rows"][0]["mean"] == {"top1": 85.0, "top5": 98.0}
    assert numbers["rows"][0]["spread"]["top5"] == pytest.approx(1.0)
    assert numbers["rows"][0]["by_seed"]["5"] == {"top1": 90.0, "top5": 99.0}
    assert numbers["rows"][2]["mean"] == {"top1": None, "top5": None}
    assert numbers["command"] == "interlace ablate"


def test_several_labels_have_another_metric():
    result = RowResult(Row(1, mirrored=True), RowFacts(1), {0: {"mAP": 33.0}})
    assert metrics_of([result]) == ["mAP"]
    assert "mAP, mean" in markdown_table([result])
    assert metrics_of([]) == ["top1"]
