"""The files of an evaluation: numbers as JSON, predictions and the confusion as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from interlace.audiovisual.tasks.answers import BACKGROUND
from interlace.audiovisual.tasks.evaluation import EventReport
from interlace.audiovisual.tasks.seed_table import SeedRow, markdown_table, metric_names
from interlace.files import whole_file

RESULTS = "results"
"""Name of the files with the table."""
REPORT = "metrics.json"
"""Name of the file with the numbers of one evaluation, the last of its files to be written."""


def write_report(folder: Path, report: EventReport, labels: Sequence[str], about: Mapping[str, Any]) -> None:
    """Write predictions.csv, per_event.csv, confusion.csv (SEL) and, last, metrics.json.

    Args:
        folder: made if it is missing; files of an earlier time are replaced, each whole.
        report: what was measured.
        labels: names of the events.
        about: what is needed to repeat the numbers.
    """
    _write_rows(folder / "predictions.csv", report.rows)
    _write_rows(folder / "per_event.csv", report.per_event)
    if report.confusion is not None:
        words = [*labels, BACKGROUND]
        rows = (
            {"true": word, **dict(zip(words, counts, strict=True))}
            for word, counts in zip(words, report.confusion, strict=True)
        )
        _write_rows(folder / "confusion.csv", rows)
    numbers = {
        "task": report.task,
        "metrics": report.metrics,
        "num_videos": report.num_videos,
        "num_scored": report.num_scored,
        "left_out": report.left_out,
        "per_event": report.per_event,
        **about,
    }
    write_json(folder / REPORT, numbers)


def write_results(folder: Path, tables: Mapping[str, list[SeedRow]], about: Mapping[str, Any]) -> Path:
    """Write results.md, results.csv (one line a run) and results.json; returns the first.

    Args:
        folder: where.
        tables: the rows of each split.
        about: what is needed to repeat the numbers; `notes`, by method, come into the tables.
    """
    text = [f"# {about['title']}", ""]
    for split, rows in tables.items():
        text += [f"## {split}", "", markdown_table(rows, about.get("notes")), ""]
    text += [
        "In percent; mean +- sample standard deviation over the seeds.",
        "",
        *(f"- {name}: `{about[name]}`" for name in ("data", "command", "commit", "date", "device")),
        f"- versions: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}",
    ]
    path = folder / f"{RESULTS}.md"
    with whole_file(path) as beside:
        beside.write_text("\n".join(text) + "\n", encoding="utf-8")
    names = metric_names([row for rows in tables.values() for row in rows])
    lines = [
        {
            "split": split,
            "method": row.method,
            "seed": seed,
            **{name: metrics.get(name, "") for name in names},
        }
        for split, rows in tables.items()
        for row in rows
        for seed, metrics in sorted(row.by_seed.items())
    ]
    _write_rows(folder / f"{RESULTS}.csv", lines)
    results = {split: {row.method: row.to_dict() for row in rows} for split, rows in tables.items()}
    write_json(folder / f"{RESULTS}.json", {**about, "results": results})
    return path


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file that is whole or not there."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what :func:`write_json` has written.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise ValueError(
            f"{path} is damaged ({error}); delete it, and what it told is computed again"
        ) from error
    if not isinstance(values, dict):
        raise ValueError(
            f"{path} is damaged (it holds no table); delete it, and what it told is computed again"
        )
    return values


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the epochs of a training as CSV."""
    _write_rows(path, history)


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
