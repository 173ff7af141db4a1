"""The files of a report, all from the same scores: tables for programs, pictures and one page for people."""

from __future__ import annotations

import json
from pathlib import Path

from interlace.evaluation.output import PARTIAL
from interlace.evaluation.page import report_page
from interlace.evaluation.scores import Scores
from interlace.evaluation.tables import class_rows, prediction_rows, worst_rows, write_csv
from interlace.files import whole_file
from interlace.plots import confusion_matrix
from interlace.types import EvalReport


def write_report(folder: Path, report: EvalReport, scores: Scores) -> None:
    """Write metrics.json, predictions.csv, per_class.csv, worst.csv, confusion.csv and .png, report.html.

    A multi-label evaluation has no confusion matrix: a clip with two classes has no place in one.

    Example:
        >>> from interlace.evaluation.report import write_report
        >>> write_report(folder, report, scores)  # doctest: +SKIP
    """
    summary = {
        "protocol": report.protocol,
        "metrics": report.metrics,
        "num_clips": report.num_clips,
        "num_skipped": len(report.skipped),
        "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
        "num_damaged": len(report.damaged),
        "damaged": [{"path": path, "note": note} for path, note in report.damaged],
        **report.details,
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    with whole_file(folder / "metrics.json") as beside:  # first: it tells whose the others are
        # Names of files that are no UTF-8 are written as JSON does.
        beside.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    clips, classes = prediction_rows(scores), class_rows(scores)
    worst = worst_rows(clips)
    write_csv(folder / "predictions.csv", clips)
    write_csv(folder / "per_class.csv", classes)
    write_csv(folder / "worst.csv", worst, columns=("path", "true", "predicted", "score", "true_score"))
    picture = None
    if not scores.multi_label:
        table = scores.confusion.tolist()
        rows = [
            {"true \\ predicted": name, **dict(zip(scores.classes, row, strict=True))}
            for name, row in zip(scores.classes, table, strict=True)
        ]
        write_csv(folder / "confusion.csv", rows)
        title = f"{report.protocol}: {report.num_clips} clips, top1 {report.metrics['top1']:.2f} %"
        picture = confusion_matrix(table, scores.classes, folder / "confusion.png", title=title)
    page = report_page(report, classes, worst, picture)
    with whole_file(folder / "report.html") as beside:
        beside.write_text(page, encoding="utf-8")
    (folder / PARTIAL).unlink(missing_ok=True)


def write_partial(folder: Path, scores: Scores, num_clips: int, *, num_checkpoints: int = 1) -> str:
    """Keep the scores of an interrupted evaluation in predictions.csv.part; returns a sentence that says so.

    Example:
        >>> import pathlib, torch
        >>> from interlace.evaluation.report import write_partial
        >>> from interlace.evaluation.scores import Scores
        >>> write_partial(pathlib.Path("."), Scores((), ("run", "walk"), torch.zeros(0, 2)), num_clips=400)
        'interrupted before any of the 400 clips was scored; nothing is kept'
    """
    if not scores.samples:
        by_all = f" by all {num_checkpoints} checkpoints" if num_checkpoints > 1 else ""
        return f"interrupted before any of the {num_clips} clips was scored{by_all}; nothing is kept"
    path = write_csv(folder / PARTIAL, prediction_rows(scores))
    return f"interrupted after {len(scores.samples)} of {num_clips} clips; their scores are in {path}"
