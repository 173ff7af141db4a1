"""Kinetics: ``label,youtube_id,time_start,time_end,split[,is_cc]``, one trimmed file a clip."""

from __future__ import annotations

from pathlib import Path

from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import csv_records

EXPECTED = "label,youtube_id,time_start,time_end,split[,is_cc]"
SUFFIXES = (".mp4", ".mkv", ".webm")


def read_kinetics(request: Request) -> Parsed:
    """Files are ``{id}_{start:06d}_{end:06d}.mp4`` or ``{id}.mp4`` in root, split, label or split/label.

    Every file is taken to be cut to its ten seconds already, whatever its name, as the published copies are.
    Spaces of a label may be underscores in the folder's name. ``split`` keeps the rows of that split.
    Test files without labels are an error: nothing can be trained or scored on them.
    """
    file = request.file
    records = csv_records(file)
    header = [cell.lower() for cell in records[0][1]] if records else []
    if "youtube_id" not in header or "time_start" not in header or "time_end" not in header:
        raise malformed(file, 1, repr(",".join(header)), f"the header {EXPECTED}")
    if "label" not in header:
        raise malformed(
            file, 1, f"no label column in {','.join(header)!r}", f"{EXPECTED} (a test set without labels?)"
        )
    rows: list[Row] = []
    for line, cells in records[1:]:
        if len(cells) != len(header):
            raise malformed(
                file, line, f"{len(cells)} cells: {','.join(cells)!r}", f"{len(header)}: {','.join(header)}"
            )
        record = dict(zip(header, cells, strict=True))
        if not record["label"] or not record["youtube_id"]:
            raise malformed(file, line, repr(",".join(cells)), "a label and a youtube_id")
        split = record.get("split", "")
        if request.split is None or split_name(split) == split_name(request.split):
            places = _places(request.root, file, line, record, split)
            rows.append(Row(file, line, places, (record["label"],)))
    return Parsed(rows, request.label_names)


def splits_in(file: Path) -> set[str]:
    """Names of the splits in a file: train, val, test."""
    records = csv_records(file)
    header = [cell.lower() for cell in records[0][1]] if records else []
    if "split" not in header:
        return set()
    column = header.index("split")
    return {split_name(cells[column]) for _, cells in records[1:] if len(cells) > column}


def split_name(split: str) -> str:
    """The published files say validate, validation and val for the same thing."""
    return "val" if split.lower().startswith("val") else split.lower()


def _places(root: Path, file: Path, line: int, record: dict[str, str], split: str) -> tuple[Path, ...]:
    try:
        start, end = (round(float(record[key])) for key in ("time_start", "time_end"))
    except (ValueError, OverflowError) as error:
        found = f"time_start {record['time_start']!r}, time_end {record['time_end']!r}"
        raise malformed(file, line, found, "times in seconds") from error
    label = record["label"]
    inside = (label, label.replace(" ", "_"))
    splits = (split, split_name(split)) if split else ()
    folders = [root, *(root / s for s in splits), *(root / c for c in inside)]
    folders += [root / s / c for s in splits for c in inside]
    names = (f"{record['youtube_id']}_{start:06d}_{end:06d}", record["youtube_id"])
    return tuple(dict.fromkeys(f / (name + suffix) for name in names for f in folders for suffix in SUFFIXES))
