"""Accuracies that a user has measured, from a CSV file."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from interlace.models.create import parse_name

REQUIRED, OPTIONAL = ("name", "top1"), ("num_segments", "protocol")


@dataclass(frozen=True)
class OwnAccuracy:
    """One line of the file."""

    name: str
    top1: float
    """Percent."""
    num_segments: int | None = None
    """Frames; None for as many as the name stands for."""
    protocol: str = ""


def read_own(file: Path) -> list[OwnAccuracy]:
    r"""Read `name,top1[,num_segments][,protocol]`, accuracies in percent.

    Raises:
        ValueError: the file cannot be read, lacks a column, has an unknown one, or a number that is none
            (the message has the line), or names a network that there is not.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.comparison.own import read_own
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "own.csv"
        >>> _ = file.write_text("name,top1,protocol\ntin_resnet50,81.5,1clip-center\n")
        >>> read_own(file)[0].top1
        81.5
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, skipinitialspace=True)
            _check_columns(file, reader.fieldnames or [])
            rows = [_row(f"{file}, line {reader.line_num}", line) for line in reader]
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file}: is no CSV text in UTF-8 ({error})") from error
    if not rows:
        raise ValueError(f"{file}: has no line below its header")
    seen: set[tuple[str, int | None]] = set()
    for row in rows:
        key = (row.name, row.num_segments)
        if key in seen:
            raise ValueError(
                f"{file}: {row.name} stands there twice; give num_segments where they differ in it"
            )
        seen.add(key)
    for row in rows:
        try:
            parse_name(row.name)  # here, not after the other networks have been counted and timed
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return rows


def _check_columns(file: Path, columns: object) -> None:
    names = list(columns) if isinstance(columns, list | tuple) else []
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        raise ValueError(
            f"{file}: its first line is {','.join(names)!r}; give the columns name and top1, and "
            "num_segments and protocol if you like"
        )


def _row(place: str, line: dict[str, str | None]) -> OwnAccuracy:
    if None in line or None in line.values():
        raise ValueError(f"{place}: has another number of cells than the first line")
    cells = {name: (cell or "").strip() for name, cell in line.items()}
    if not cells["name"]:
        raise ValueError(f"{place}: has no name of a network")
    frames = cells.get("num_segments", "")
    if frames and not (frames.isdecimal() and int(frames) > 0):
        raise ValueError(f"{place}: num_segments {frames!r} is not a number of frames")
    return OwnAccuracy(
        cells["name"],
        _percent(place, cells["top1"]),
        int(frames) if frames else None,
        cells.get("protocol", ""),
    )


def _percent(place: str, cell: str) -> float:
    try:
        percent = float(cell)
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:  # nan is not either
        raise ValueError(f"{place}: top1 {cell!r} is not a percentage (0 to 100)")
    return percent
