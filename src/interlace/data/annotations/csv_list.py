"""CSV: ``path,label[,start,end]``, with or without a header."""

from __future__ import annotations

import math
import re
from pathlib import Path

from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import csv_records

COLUMNS = {
    "path": ("path", "video", "file", "filename"),
    "label": ("label", "labels", "class"),
    "start": ("start", "start_seconds"),
    "end": ("end", "end_seconds"),
}
"""Names a header may use for each column; other columns are passed over."""


def read_csv(request: Request) -> Parsed:
    """A label is a name or an index from 0; several are ``a;b``, or ``1,4`` in quotes. Times are in seconds.

    Relative paths are looked up in the data root, then in the CSV's own folder. If every label is a number,
    they are indices, unless the known class names are numbers themselves.
    """
    file = request.file
    records = csv_records(file)
    columns = header_columns(records[0][1]) if records else None
    if columns is not None:
        if "path" not in columns or "label" not in columns:
            raise malformed(
                file, records[0][0], f"the header {','.join(records[0][1])!r}", "path,label[,start,end]"
            )
        records = records[1:]
    else:
        columns = {"path": 0, "label": 1, "start": 2, "end": 3}
    width = max(columns["path"], columns["label"]) + 1
    rows: list[Row] = []
    texts: list[tuple[str, ...]] = []
    names = request.label_names or request.known_classes or ()
    for line, cells in records:
        shown = repr(",".join(cells))
        if len(cells) < width or not cells[columns["path"]]:
            raise malformed(file, line, shown, "path,label[,start,end]")
        texts.append(split_labels(cells[columns["label"]], names))
        if not all(texts[-1]):
            raise malformed(
                file, line, f"no label in {shown}", "path,label (clips without labels are for `predict`)"
            )
        start, end = (_seconds(file, line, cells, columns.get(key)) for key in ("start", "end"))
        if end is not None and end <= (start or 0.0):
            raise malformed(
                file, line, f"end {end:g} s and start {start or 0.0:g} s", "an end after the start"
            )
        path = cells[columns["path"]]
        places = tuple(dict.fromkeys((request.root / path, file.parent / path)))
        rows.append(Row(file, line, places, texts[-1], start, end))
    if are_indices(texts, names):
        rows = [
            Row(row.file, row.line, row.places, tuple(map(int, text)), row.start_seconds, row.end_seconds)
            for row, text in zip(rows, texts, strict=True)
        ]
    return Parsed(rows, request.label_names)


def header_columns(cells: list[str]) -> dict[str, int] | None:
    """Column -> position if a cell is the name of the path or label column; None if the record is data."""
    lowered = [cell.lower() for cell in cells]
    known = {
        key: next((i for i, cell in enumerate(lowered) if cell in names), None)
        for key, names in COLUMNS.items()
    }
    found = {key: position for key, position in known.items() if position is not None}
    return found if "path" in found or "label" in found else None


def split_labels(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The labels in one cell; a comma separates only numbers, since names may hold commas."""
    if text in names:
        return (text,)
    if re.fullmatch(r"\d+(\s*,\s*\d+)+", text):
        return tuple(part.strip() for part in text.split(","))
    return tuple(part.strip() for part in text.split(";"))


def are_indices(texts: list[tuple[str, ...]], names: tuple[str, ...]) -> bool:
    """Whether the labels of a file are indices rather than names."""
    numbers = all(re.fullmatch(r"-?\d{1,9}", label) for labels in texts for label in labels)
    return numbers and not any(name.isdigit() for name in names)


def _seconds(file: Path, line: int, cells: list[str], column: int | None) -> float | None:
    text = "" if column is None or column >= len(cells) else cells[column]
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise malformed(file, line, repr(text), "a time in seconds")
    return seconds
