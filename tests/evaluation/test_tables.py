from __future__ import annotations

import csv
from pathlib import Path

import torch

from interlace.data.annotations import Sample
from interlace.evaluation.scores import Scores
from interlace.evaluation.tables import class_rows, prediction_rows, worst_rows, write_csv


def _scores() -> Scores:
    samples = (
        Sample(Path("d/a.mp4"), (0,)),
        Sample(Path("d/b.mp4"), (0,), start_seconds=1.5, end_seconds=2.0),
        Sample(Path("d/c.mp4"), (1,)),
        Sample(Path("d/d.mp4"), (0,)),
    )
    table = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.0, 0.75], [0.125, 0.375, 0.5], [0.375, 0.625, 0.0]])
    return Scores(samples, ("run", "walk", "jump, high"), table)


def test_prediction_rows() -> None:
    rows = prediction_rows(_scores())
    assert rows[1] == {
        "path": "d/b.mp4",
        "start_seconds": 1.5,
        "end_seconds": 2.0,
        "true": "run",
        "predicted": "jump, high",
        "score": 0.75,
        "true_score": 0.25,
        "correct": 0,
        "p(run)": 0.25,
        "p(walk)": 0.0,
        "p(jump, high)": 0.75,
    }
    assert [row["correct"] for row in rows] == [1, 0, 0, 0]


def test_many_classes_are_cut_to_the_best_five() -> None:
    table = torch.arange(51, dtype=torch.float64)[None] / 1275
    names = tuple(f"class {i}" for i in range(51))
    row = prediction_rows(Scores((Sample(Path("a.mp4"), (48,)),), names, table))[0]
    assert "p(class 0)" not in row
    assert [row[f"top{i}"] for i in range(1, 6)] == [
        "class 50",
        "class 49",
        "class 48",
        "class 47",
        "class 46",
    ]
    assert row["top5_score"] == 0.0360784


def test_class_rows() -> None:
    rows = class_rows(_scores())
    assert rows[0] == {
        "class": "run",
        "clips": 3,
        "correct": 1,
        "accuracy": 33.3333,
        "most_confused_with": "walk",  # as often as jump, and before it in the list
        "confused_clips": 1,
        "predicted_clips": 1,
    }
    assert (rows[2]["clips"], rows[2]["accuracy"], rows[2]["most_confused_with"]) == (0, "", "")
    assert rows[2]["predicted_clips"] == 2


def test_multi_label_rows() -> None:
    samples = (Sample(Path("a.mp4"), (0, 1)), Sample(Path("b.mp4"), (1,)))
    scores = Scores(
        samples, ("x", "y", "z"), torch.tensor([[0.75, 0.5, 0.0], [0.25, 0.5, 0.0]]), multi_label=True
    )
    first = prediction_rows(scores)[0]
    assert (first["true"], first["predicted"], first["true_score"], first["correct"]) == ("x|y", "x", 0.5, 1)
    assert class_rows(scores)[0] == {"class": "x", "clips": 1, "average_precision": 100.0}
    assert class_rows(scores)[2]["average_precision"] == ""


def test_worst_rows_are_the_surest_errors() -> None:
    worst = worst_rows(prediction_rows(_scores()))
    assert [row["path"] for row in worst] == ["d/b.mp4", "d/d.mp4", "d/c.mp4"]
    assert [row["score"] for row in worst] == [0.75, 0.625, 0.5]
    assert [row["path"] for row in worst_rows(prediction_rows(_scores()), limit=1)] == ["d/b.mp4"]


def test_csv_keeps_names_with_commas(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", prediction_rows(_scores()))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["predicted"] == "jump, high"
    assert float(rows[1]["p(jump, high)"]) == 0.75
    assert write_csv(tmp_path / "e.csv", [], columns=("a", "b")).read_text() == "a,b\n"
