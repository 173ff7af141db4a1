"""Predictions for people (a table, or plain lines in a pipe) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlace.files import whole_file
from interlace.inference.batch import Failure
from interlace.inference.timeline import Stretch, merge
from interlace.printable import printable
from interlace.types import Prediction

MOST_IN_TABLE = 200
"""Videos; of more nobody waits for a table, and it would hold all answers in memory."""


def print_predictions(predictions: Sequence[Prediction], failures: Sequence[Failure] = ()) -> None:
    """Print a table on a terminal; into a pipe or file one plain, whole line for each answer.

    Neighbouring windows of a timeline with the same label are one line; CSV and JSON hold all windows.
    """
    if sys.stdout.isatty():
        Console(highlight=False).print(table(predictions, failures))
    else:
        for line in lines(predictions, failures):
            print(line)


class Printer:
    """Answers one after another: a line each as soon as it is there; few videos on a terminal are a table at the end.

    Example:
        >>> from interlace.inference.output import Printer
        >>> from interlace.types import Prediction
        >>> with Printer(num_videos=1) as show:
        ...     show([Prediction("a.mp4", (("wave", 0.9),))])
        a.mp4: wave 90.0%
    """

    def __init__(self, num_videos: int) -> None:
        self._in_table = sys.stdout.isatty() and num_videos <= MOST_IN_TABLE
        self._predictions: list[Prediction] = []
        self._failures: list[Failure] = []

    def __call__(self, answer: Sequence[Prediction] | Failure) -> None:
        """Take in the answer to one video."""
        predictions = [] if isinstance(answer, Failure) else answer
        failures = [answer] if isinstance(answer, Failure) else []
        if self._in_table:
            self._predictions += predictions
            self._failures += failures
            return
        for line in lines(predictions, failures):
            print(line, flush=True)

    def __enter__(self) -> Printer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_table:
            print_predictions(self._predictions, self._failures)


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
    return [printable(text) for text in texts]


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
        result.add_row(*(Text(printable(cell)) for cell in cells[: 5 if noted else 4]))
    for failure in failures:
        cells = [failure.path, "-", "", "", failure.reason]
        result.add_row(*(Text(printable(cell)) for cell in cells), style="red")
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


def check_suffix(output: Path) -> None:
    """Ask before hours of work whether a file of that name can be written.

    Raises:
        ValueError: the name ends neither in .csv nor in .json.
    """
    if output.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{output}: unknown format {output.suffix!r}; end the name in .csv or .json")


def write_predictions(
    output: Path,
    predictions: Iterable[Prediction],
    failures: Iterable[Failure] = (),
    *,
    num_ranks: int | None = None,
) -> Path:
    """Write all predictions, windows and failures to a ``.csv`` or ``.json`` file, whole or not at all.

    Events, the windows of timelines merged, are in the JSON; for a CSV they are a table of their own beside it, see
    :func:`events_file`. What is given is gone through several times, one answer after another, so it need not be
    held in memory.

    Args:
        output: The file.
        predictions: In the order of the file; the windows of a video one after another.
        failures: What comes behind them.
        num_ranks: Labels that a row of the CSV has room for; as many as the longest prediction has, unless told.

    Raises:
        ValueError: the name ends otherwise.
    """
    check_suffix(output)
    if output.suffix.lower() == ".json":
        _write(output, _json_parts(predictions, failures))
        return output
    _write(output, _csv_rows(predictions, failures, num_ranks))
    if next(events_of(predictions), None):
        _write(events_file(output), _event_rows(predictions))
    return output


def _write(path: Path, parts: Iterable[str]) -> None:
    with (
        whole_file(path) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.writelines(parts)


def events_file(output: Path) -> Path:
    """Where the events of a CSV are written, if there are any.

    Example:
        >>> from pathlib import Path
        >>> from interlace.inference.output import events_file
        >>> events_file(Path("day.csv")).name
        'day.events.csv'
    """
    return output.with_name(f"{output.stem}.events{output.suffix}")


def events_of(predictions: Iterable[Prediction]) -> Iterator[tuple[str, Stretch]]:
    """(path, event) for each stretch of a timeline with the same best label; none of videos predicted as a whole."""
    for (path, windowed), group in groupby(predictions, key=_video):
        if windowed:
            yield from ((path, stretch) for stretch in merge(list(group)))


def _video(prediction: Prediction) -> tuple[str, bool]:
    """What the windows of one timeline have in common."""
    return prediction.path, prediction.start_seconds is not None


def events_to_csv(predictions: Iterable[Prediction]) -> str:
    """One row for each event.

    Example:
        >>> from interlace.inference.output import events_to_csv
        >>> from interlace.types import Prediction
        >>> windows = [Prediction("a.mp4", (("wave", score),), i, i + 2.0) for i, score in ((0.0, 0.5), (1.0, 0.75))]
        >>> print(events_to_csv(windows), end="")
        path,start_seconds,end_seconds,label,score,peak
        a.mp4,0.000,3.000,wave,0.625000,0.750000
    """
    return "".join(_event_rows(predictions))


def _event_rows(predictions: Iterable[Prediction]) -> Iterator[str]:
    yield _row(["path", "start_seconds", "end_seconds", "label", "score", "peak"])
    for path, event in events_of(predictions):
        span = [f"{event.start_seconds:.3f}", f"{event.end_seconds:.3f}"]
        yield _row([path, *span, event.label, f"{event.score:.6f}", f"{event.peak:.6f}"])


def _row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def to_csv(predictions: Iterable[Prediction], failures: Iterable[Failure] = ()) -> str:
    """One row for each video, window or failure, with a label and a score column for each rank.

    Example:
        >>> from interlace.inference.output import to_csv
        >>> from interlace.types import Prediction
        >>> print(to_csv([Prediction("a.mp4", (("wave", 0.75), ("clap", 0.25)))]), end="")
        path,start_seconds,end_seconds,label,score,label_2,score_2,notes,error
        a.mp4,,,wave,0.750000,clap,0.250000,,
    """
    return "".join(_csv_rows(predictions, failures))


def _csv_rows(
    predictions: Iterable[Prediction], failures: Iterable[Failure], num_ranks: int | None = None
) -> Iterator[str]:
    most = num_ranks or max((len(prediction.top) for prediction in predictions), default=1)
    ranks = [column for k in range(2, most + 1) for column in (f"label_{k}", f"score_{k}")]
    yield _row(["path", "start_seconds", "end_seconds", "label", "score", *ranks, "notes", "error"])
    for prediction in predictions:
        span = [_seconds(prediction.start_seconds), _seconds(prediction.end_seconds)]
        tops = [cell for label, score in prediction.top for cell in (label, f"{score:.6f}")]
        empty = [""] * (2 * most - len(tops))
        yield _row([prediction.path, *span, *tops, *empty, "; ".join(prediction.notes), ""])
    for failure in failures:
        yield _row([failure.path, *[""] * (2 + 2 * most), "", failure.reason])


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"


def to_json(predictions: Iterable[Prediction], failures: Iterable[Failure] = ()) -> str:
    """An object with ``predictions``, ``events`` (windows of timelines, merged) and ``failures``.

    Example:
        >>> import json
        >>> from interlace.inference.output import to_json
        >>> from interlace.types import Prediction
        >>> json.loads(to_json([Prediction("a.mp4", (("wave", 0.75),))]))["predictions"][0]["top"]
        [{'label': 'wave', 'score': 0.75}]
    """
    return "".join(_json_parts(predictions, failures))


def _json_parts(predictions: Iterable[Prediction], failures: Iterable[Failure]) -> Iterator[str]:
    answers = (
        {
            "path": prediction.path,
            "start_seconds": prediction.start_seconds,
            "end_seconds": prediction.end_seconds,
            "top": [{"label": label, "score": score} for label, score in prediction.top],
            "notes": list(prediction.notes),
        }
        for prediction in predictions
    )
    events = ({"path": path, **asdict(event)} for path, event in events_of(predictions))
    yield '{\n  "predictions": '
    yield from _json_list(answers)
    yield ',\n  "events": '
    yield from _json_list(events)
    yield ',\n  "failures": '
    yield from _json_list({"path": failure.path, "reason": failure.reason} for failure in failures)
    yield "\n}\n"


def _json_list(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A list inside an object, as `json.dumps` with an indent of 2 writes it."""
    before = "[\n"
    for item in items:
        yield before + indent(json.dumps(item, indent=2), "    ")
        before = ",\n"
    yield "[]" if before == "[\n" else "\n  ]"
