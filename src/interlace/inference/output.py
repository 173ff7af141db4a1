"""Predictions for people (a table, or plain lines in a pipe) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlace.files import whole_file
from interlace.inference.batch import Failure
from interlace.inference.timeline import Stretch, merge
from interlace.types import Prediction


def print_predictions(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> None:
    """Print a table on a terminal; into a pipe or file one plain, whole line for each answer.

    Neighbouring windows of a timeline with the same label are one line; CSV and JSON hold all windows.
    """
    if sys.stdout.isatty():
        Console(highlight=False).print(table(predictions, failures))
    else:
        for line in lines(predictions, failures):
            print(line)


def lines(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> list[str]:
    """One line for each video, stretch of a timeline, and failure.

    Example:
        >>> from interlace.inference.output import lines
        >>> from interlace.types import Prediction
        >>> lines([Prediction("a.mp4", (("wave", 0.9), ("clap", 0.1)), notes=("3 of 50 frames damaged",))])
        ['a.mp4: wave 90.0%, clap 10.0% (3 of 50 frames damaged)']
    """
    texts = []
    for path, label, score, others, notes in _rows(predictions):
        rest = "".join(f", {other}" for other in others)
        texts.append(f"{path}: {label} {score}{rest}" + (f" ({notes})" if notes else ""))
    texts += [f"{failure.path}: FAILED: {failure.reason}" for failure in failures]
    return [_printable(text) for text in texts]


def table(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> Table:
    """The same as a table for the terminal: path, label, score, runners-up, notes."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("video", "label"):
        result.add_column(name, overflow="fold")
    result.add_column("score", justify="right", no_wrap=True)
    result.add_column("then", overflow="fold", style="dim")
    noted = any(prediction.notes for prediction in predictions) or bool(failures)
    if noted:
        result.add_column("notes", overflow="fold")
    # Text, not markup: a file name may hold [brackets].
    for path, label, score, others, notes in _rows(predictions):
        cells = [path, label, score, ", ".join(others), notes]
        result.add_row(*(Text(_printable(cell)) for cell in cells[: 5 if noted else 4]))
    for failure in failures:
        cells = [failure.path, "-", "", "", failure.reason]
        result.add_row(*(Text(_printable(cell)) for cell in cells), style="red")
    return result


def _rows(predictions: Sequence[Prediction]) -> list[tuple[str, str, str, list[str], str]]:
    rows: list[tuple[str, str, str, list[str], str]] = []
    for (path, windowed), group in groupby(predictions, key=_video):
        answers = list(group)
        if windowed:
            # The notes grow while the file is decoded: the last window has them all.
            notes = "; ".join(answers[-1].notes)
            for stretch in merge(answers):
                span = f"{path} [{stretch.start_seconds:.1f}-{stretch.end_seconds:.1f} s]"
                rows.append((span, stretch.label, f"{stretch.score:.1%}", [], notes))
                notes = ""
            continue
        for answer in answers:
            others = [f"{label} {score:.1%}" for label, score in answer.top[1:]]
            rows.append((path, answer.label, f"{answer.score:.1%}", others, "; ".join(answer.notes)))
    return rows


def _printable(text: str) -> str:
    """File names are bytes; what is no UTF-8 in them is shown as a replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def check_suffix(output: Path) -> None:
    """Ask before hours of work whether a file of that name can be written.

    Raises:
        ValueError: the name ends neither in .csv nor in .json.
    """
    if output.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{output}: unknown format {output.suffix!r}; end the name in .csv or .json")


def write_predictions(
    output: Path, predictions: Sequence[Prediction], failures: Sequence[Failure] = ()
) -> Path:
    """Write all predictions, windows and failures to a ``.csv`` or ``.json`` file, whole or not at all.

    Events, the windows of timelines merged, are in the JSON; for a CSV they are a table of their own beside it, see
    :func:`events_file`.

    Raises:
        ValueError: the name ends otherwise.
    """
    check_suffix(output)
    is_csv = output.suffix.lower() == ".csv"
    _write(output, (to_csv if is_csv else to_json)(predictions, failures))
    if is_csv and events_of(predictions):
        _write(events_file(output), events_to_csv(predictions))
    return output


def _write(path: Path, text: str) -> None:
    with whole_file(path) as beside:
        beside.write_bytes(text.encode("utf-8", "surrogateescape"))


def events_file(output: Path) -> Path:
    """Where the events of a CSV are written, if there are any.

    Example:
        >>> from pathlib import Path
        >>> from interlace.inference.output import events_file
        >>> events_file(Path("day.csv")).name
        'day.events.csv'
    """
    return output.with_name(f"{output.stem}.events{output.suffix}")


def events_of(predictions: Sequence[Prediction]) -> list[tuple[str, Stretch]]:
    """(path, event) for each stretch of a timeline with the same best label; none of videos predicted as a whole."""
    return [
        (path, stretch)
        for (path, windowed), group in groupby(predictions, key=_video)
        if windowed
        for stretch in merge(list(group))
    ]


def _video(prediction: Prediction) -> tuple[str, bool]:
    """What the windows of one timeline have in common."""
    return prediction.path, prediction.start_seconds is not None


def events_to_csv(predictions: Sequence[Prediction]) -> str:
    """One row for each event.

    Example:
        >>> from interlace.inference.output import events_to_csv
        >>> from interlace.types import Prediction
        >>> windows = [Prediction("a.mp4", (("wave", score),), i, i + 2.0) for i, score in ((0.0, 0.5), (1.0, 0.75))]
        >>> print(events_to_csv(windows), end="")
        path,start_seconds,end_seconds,label,score,peak
        a.mp4,0.000,3.000,wave,0.625000,0.750000
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "start_seconds", "end_seconds", "label", "score", "peak"])
    for path, event in events_of(predictions):
        span = [f"{event.start_seconds:.3f}", f"{event.end_seconds:.3f}"]
        table.writerow([path, *span, event.label, f"{event.score:.6f}", f"{event.peak:.6f}"])
    return text.getvalue()


def to_csv(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> str:
    """One row for each video, window or failure, with a label and a score column for each rank.

    Example:
        >>> from interlace.inference.output import to_csv
        >>> from interlace.types import Prediction
        >>> print(to_csv([Prediction("a.mp4", (("wave", 0.75), ("clap", 0.25)))]), end="")
        path,start_seconds,end_seconds,label,score,label_2,score_2,notes,error
        a.mp4,,,wave,0.750000,clap,0.250000,,
    """
    most = max((len(prediction.top) for prediction in predictions), default=1)
    ranks = [column for k in range(2, most + 1) for column in (f"label_{k}", f"score_{k}")]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "start_seconds", "end_seconds", "label", "score", *ranks, "notes", "error"])
    for prediction in predictions:
        span = [_seconds(prediction.start_seconds), _seconds(prediction.end_seconds)]
        tops = [cell for label, score in prediction.top for cell in (label, f"{score:.6f}")]
        empty = [""] * (2 * most - len(tops))
        table.writerow([prediction.path, *span, *tops, *empty, "; ".join(prediction.notes), ""])
    for failure in failures:
        table.writerow([failure.path, *[""] * (2 + 2 * most), "", failure.reason])
    return text.getvalue()


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"


def to_json(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> str:
    """An object with ``predictions``, ``events`` (windows of timelines, merged) and ``failures``.

    Example:
        >>> import json
        >>> from interlace.inference.output import to_json
        >>> from interlace.types import Prediction
        >>> json.loads(to_json([Prediction("a.mp4", (("wave", 0.75),))]))["predictions"][0]["top"]
        [{'label': 'wave', 'score': 0.75}]
    """
    answers = [
        {
            "path": prediction.path,
            "start_seconds": prediction.start_seconds,
            "end_seconds": prediction.end_seconds,
            "top": [{"label": label, "score": score} for label, score in prediction.top],
            "notes": list(prediction.notes),
        }
        for prediction in predictions
    ]
    reasons = [{"path": failure.path, "reason": failure.reason} for failure in failures]
    events = [{"path": path, **asdict(event)} for path, event in events_of(predictions)]
    return json.dumps({"predictions": answers, "events": events, "failures": reasons}, indent=2) + "\n"
