"""Timelines for people (a table of seconds, or plain lines in a pipe) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlace.audiovisual.prediction.event_prediction import BACKGROUND, EventPrediction
from interlace.audiovisual.timelines.timeline import runs
from interlace.files import whole_file
from interlace.printable import printable

MOST_ROWS = 60
"""Seconds up to which each is a row; of longer videos, each stretch with the same label."""
BAR = 10
"""Letters of a bar that is full."""
NUMBERS = {"heard": "heard p^A", "seen": "seen p^V", "relevance": "relevance p", "fit": "fit"}
"""Fields of a prediction that have a number each second, and the heads of their columns."""

Failure = tuple[str, str]
"""A path, and why there is no timeline of it."""


def print_timelines(predictions: Sequence[EventPrediction], failures: Sequence[Failure] = ()) -> None:
    """Print a table for each video on a terminal, and plain lines into a pipe or file."""
    if sys.stdout.isatty():
        console = Console(highlight=False)
        for prediction in predictions:
            console.print(Text(printable(str(prediction)), style="bold"))
            for note in prediction.notes:
                console.print(Text(printable(f"note: {note}"), style="dim"))
            console.print(table(prediction))
        for path, reason in failures:
            console.print(Text(printable(f"{path}: FAILED: {reason}"), style="red"))
        return
    for line in lines(predictions, failures):
        print(line)


def lines(predictions: Sequence[EventPrediction], failures: Sequence[Failure] = ()) -> list[str]:
    """A line with the answer for each video, and one below it for each second, or each stretch of a long video.

    Example:
        >>> from interlace.audiovisual.prediction.event_prediction import EventPrediction
        >>> from interlace.audiovisual.prediction.timeline_text import lines
        >>> prediction = EventPrediction("a.mp4", ("background", "bark"), 2.0, relevance=(0.1, 0.9))
        >>> for line in lines([prediction], [("b.mp4", "the file is empty")]):
        ...     print(line)
        a.mp4: bark from 1 to 2 s
          0-1 s  relevance p 0.100  background
          1-2 s  relevance p 0.900  bark
        b.mp4: FAILED: the file is empty
    """
    texts = []
    for prediction in predictions:
        notes = f" ({'; '.join(prediction.notes)})" if prediction.notes else ""
        texts.append(f"{prediction}{notes}")
        rows = _rows(prediction)
        widest = max(len(_span(row)) for row in rows)
        for row in rows:
            values = "".join(
                f"  {NUMBERS[name]} {_number(row[name], name)}" for name in NUMBERS if row[name] is not None
            )
            texts.append(f"  {_span(row):>{widest}}{values}  {row['label']}{_silent(row)}")
    texts += [f"{path}: FAILED: {reason}" for path, reason in failures]
    return [printable(text) for text in texts]


def table(prediction: EventPrediction) -> Table:
    """The same of one video as a table for the terminal, with a bar for the relevance."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    result.add_column("time", justify="right", no_wrap=True)
    rows = _rows(prediction)
    names = [name for name in NUMBERS if rows[0][name] is not None]
    for name in names:
        result.add_column(NUMBERS[name], justify="right", no_wrap=True)
    bar = next((name for name in ("relevance", "heard", "seen") if name in names), None)
    result.add_column("", no_wrap=True)
    result.add_column("label", overflow="fold")
    for row in rows:
        drawn = "█" * round(BAR * row[bar]) if bar else ""
        cells = [_span(row), *(_number(row[name], name) for name in names), f"{drawn:░<{BAR}}" if bar else ""]
        label = Text(printable(row["label"] + _silent(row)))  # text, not markup: a label may hold [brackets]
        result.add_row(*cells, label, style="dim" if row["label"] == BACKGROUND else "")
    return result


def check_suffix(output: Path) -> None:
    """Ask before hours of work whether a file of that name can be written.

    Raises:
        ValueError: the name ends neither in .csv nor in .json, or is that of a folder.
    """
    if output.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{output}: unknown format {output.suffix!r}; end the name in .csv or .json")
    if output.is_dir():
        raise ValueError(f"{output} is a folder; name a file")


def write_timelines(
    output: Path, predictions: Sequence[EventPrediction], failures: Sequence[Failure] = ()
) -> Path:
    """Write all seconds of all videos, and the failures, to a ``.csv`` or ``.json`` file, whole or not at all.

    Raises:
        ValueError: the name ends otherwise.
    """
    check_suffix(output)
    to_text = to_csv if output.suffix.lower() == ".csv" else to_json
    with whole_file(output) as beside:
        beside.write_bytes(to_text(predictions, failures).encode("utf-8", "surrogateescape"))
    return output


def to_csv(predictions: Sequence[EventPrediction], failures: Sequence[Failure] = ()) -> str:
    """One row for each second of each video, and for each failure; numbers that a network does not give are empty.

    Example:
        >>> from interlace.audiovisual.prediction.event_prediction import EventPrediction
        >>> from interlace.audiovisual.prediction.timeline_text import to_csv
        >>> print(to_csv([EventPrediction("a.mp4", ("bark",), 0.8, relevance=(0.9,))]), end="")
        path,start_seconds,end_seconds,label,heard,seen,relevance,fit,has_sound,notes,error
        a.mp4,0.000,0.800,bark,,,0.900000,,,,
    """
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(["path", "start_seconds", "end_seconds", "label", *NUMBERS, "has_sound", "notes", "error"])
    for prediction in predictions:
        notes = "; ".join(prediction.notes)
        for row in seconds_of(prediction):
            span = [f"{row['start_seconds']:.3f}", f"{row['end_seconds']:.3f}"]
            numbers = ["" if row[name] is None else f"{row[name]:.6f}" for name in NUMBERS]
            has_sound = "" if row["has_sound"] is None else str(row["has_sound"]).lower()
            sheet.writerow([prediction.path, *span, row["label"], *numbers, has_sound, notes, ""])
    for path, reason in failures:
        sheet.writerow([path, *[""] * (len(NUMBERS) + 5), reason])
    return text.getvalue()


def to_json(predictions: Sequence[EventPrediction], failures: Sequence[Failure] = ()) -> str:
    """An object with ``predictions`` (events, their spans, and every second) and ``failures``.

    Example:
        >>> import json
        >>> from interlace.audiovisual.prediction.event_prediction import EventPrediction
        >>> from interlace.audiovisual.prediction.timeline_text import to_json
        >>> prediction = EventPrediction("a.mp4", ("bark",), 0.8, relevance=(0.9,))
        >>> json.loads(to_json([prediction]))["predictions"][0]["events"]
        [{'label': 'bark', 'start_seconds': 0.0, 'end_seconds': 0.8}]
    """
    answers = [
        {
            "path": prediction.path,
            "answer": prediction.answer,
            "event": prediction.event if prediction.query is None else None,
            "query": None if prediction.query is None else vars(prediction.query),
            "events": [vars(span) for span in prediction.spans],
            "scores": [{"label": label, "score": score} for label, score in prediction.scores],
            "duration_seconds": prediction.duration_seconds,
            "seconds": seconds_of(prediction),
            "notes": list(prediction.notes),
        }
        for prediction in predictions
    ]
    reasons = [{"path": path, "reason": reason} for path, reason in failures]
    return json.dumps({"predictions": answers, "failures": reasons}, indent=1, allow_nan=False) + "\n"


def seconds_of(prediction: EventPrediction) -> list[dict[str, Any]]:
    """Start, end, label and all numbers of each second; None for those that the network does not give."""
    columns = {
        name: getattr(prediction, name) or [None] * len(prediction.labels) for name in (*NUMBERS, "has_sound")
    }
    return [
        {
            "start_seconds": float(second),
            "end_seconds": prediction.end_of(second),
            "label": label,
            **{name: values[second] for name, values in columns.items()},
        }
        for second, label in enumerate(prediction.labels)
    ]


def _rows(prediction: EventPrediction) -> list[dict[str, Any]]:
    """The seconds; of a long video, stretches with the same label, with the means of their numbers."""
    rows = seconds_of(prediction)
    if len(rows) <= MOST_ROWS:
        return rows
    alike = runs([(row["label"], row["has_sound"]) for row in rows])
    return [
        {
            **part[0],
            "end_seconds": part[-1]["end_seconds"],
            **{
                name: sum(row[name] for row in part) / len(part)
                for name in NUMBERS
                if part[0][name] is not None
            },
        }
        for part in (rows[start:end] for start, end, _ in alike)
    ]


def _span(row: dict[str, Any]) -> str:
    return f"{row['start_seconds']:g}-{round(row['end_seconds'], 2):g} s"


def _number(value: float, name: str) -> str:
    if name == "fit":
        return f"{value:+.3f}"
    shown = f"{value:.3f}"
    return "0.499" if shown == "0.500" and value < 0.5 else shown  # below 0.5 is background, and must look it


def _silent(row: dict[str, Any]) -> str:
    return ", no sound" if row["has_sound"] is False else ""
