"""The rows of a report's tables: clips, classes, worst errors."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from interlace.evaluation import metrics
from interlace.evaluation.scores import Scores
from interlace.files import whole_file

Row = dict[str, Any]
MAX_CLASS_COLUMNS = 50
"""Up to this many classes predictions.csv has a column for each; beyond, the best five."""


def prediction_rows(scores: Scores) -> list[Row]:
    """One row a clip: path, bounds, true and predicted class, probabilities.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Sample
        >>> from interlace.evaluation.scores import Scores
        >>> from interlace.evaluation.tables import prediction_rows
        >>> one = Scores((Sample(Path("a.mp4"), (0,)),), ("run", "walk"), torch.tensor([[0.25, 0.75]]))
        >>> row = prediction_rows(one)[0]
        >>> row["true"], row["predicted"], row["score"], row["correct"], row["p(run)"]
        ('run', 'walk', 0.75, 0, 0.25)
    """
    classes = scores.classes
    best = metrics.ranks(scores.probabilities).argsort(dim=1)[:, :5].tolist()
    rows = []
    for sample, row, top, correct in zip(
        scores.samples, scores.probabilities.tolist(), best, scores.correct.tolist(), strict=True
    ):
        columns: Row = {
            "path": sample.path.as_posix(),
            "start_seconds": "" if sample.start_seconds is None else sample.start_seconds,
            "end_seconds": "" if sample.end_seconds is None else sample.end_seconds,
            "true": "|".join(classes[label] for label in sample.labels),
            "predicted": classes[top[0]],
            "score": _digits(row[top[0]]),
            "true_score": _digits(min(row[label] for label in sample.labels)),
            "correct": int(correct),
        }
        if len(classes) <= MAX_CLASS_COLUMNS:
            columns |= {f"p({name})": _digits(value) for name, value in zip(classes, row, strict=True)}
        else:
            for place, label in enumerate(top, start=1):
                columns |= {f"top{place}": classes[label], f"top{place}_score": _digits(row[label])}
        rows.append(columns)
    return rows


def class_rows(scores: Scores) -> list[Row]:
    """One row a class: clips, how many were recognised, what it was taken for most often.

    For multi-label: clips that have the class, and its average precision.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Sample
        >>> from interlace.evaluation.scores import Scores
        >>> from interlace.evaluation.tables import class_rows
        >>> one = Scores((Sample(Path("a.mp4"), (0,)),), ("run", "walk"), torch.tensor([[0.25, 0.75]]))
        >>> row = class_rows(one)[0]
        >>> row["clips"], row["accuracy"], row["most_confused_with"], row["confused_clips"]
        (1, 0.0, 'walk', 1)
    """
    if scores.multi_label:
        counts = scores.targets.sum(dim=0).tolist()
        values = metrics.average_precisions(scores.probabilities, scores.targets).tolist()
        return [
            {"class": name, "clips": count, "average_precision": _percent(value)}
            for name, count, value in zip(scores.classes, counts, values, strict=True)
        ]
    table = scores.confusion
    wrong = table.clone().fill_diagonal_(0)
    rows = []
    for i, (name, accuracy) in enumerate(
        zip(scores.classes, metrics.class_accuracy(table).tolist(), strict=True)
    ):
        other = int(wrong[i].argmax())
        confused = int(wrong[i, other])
        rows.append(
            {
                "class": name,
                "clips": int(table[i].sum()),
                "correct": int(table[i, i]),
                "accuracy": _percent(accuracy),
                "most_confused_with": scores.classes[other] if confused else "",
                "confused_clips": confused,
                "predicted_clips": int(table[:, i].sum()),
            }
        )
    return rows


def worst_rows(rows: Sequence[Row], limit: int = 200) -> list[Row]:
    """The errors among the rows of clips: the surest wrong answer first, then the lowest true class.

    Example:
        >>> from interlace.evaluation.tables import worst_rows
        >>> row = {"path": "a", "score": 0.9, "true_score": 0.1, "correct": 0}
        >>> [r["path"] for r in worst_rows([{**row, "path": "b", "score": 0.6}, row, {**row, "correct": 1}])]
        ['a', 'b']
    """
    wrong = [row for row in rows if not row["correct"]]
    wrong.sort(key=lambda row: (-row["score"], row["true_score"], row["path"]))
    columns = ("path", "start_seconds", "end_seconds", "true", "predicted", "score", "true_score")
    return [{column: row[column] for column in columns if column in row} for row in wrong[:limit]]


def write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str] = ()) -> Path:
    """Write rows as CSV in UTF-8; ``columns`` heads a table without rows.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.evaluation.tables import write_csv
        >>> path = write_csv(pathlib.Path(tempfile.mkdtemp()) / "a.csv", [{"class": "run", "clips": 3}])
        >>> path.read_text().split()
        ['class,clips', 'run,3']
    """
    with whole_file(path) as beside, _new_text(beside) as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _new_text(path: Path) -> IO[str]:
    """Names of files go through as the bytes that they are."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _percent(value: float) -> float | str:
    return "" if math.isnan(value) else round(value, 4)
