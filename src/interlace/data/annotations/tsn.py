"""List files of TSN, TSM and TIN: ``path num_frames label``, also ``path label``."""

from __future__ import annotations

import re

from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import numbered_lines


def read_tsn(request: Request) -> Parsed:
    """Paths are folders of frames or video files, and may hold spaces. Labels are indices from 0; ``1,4,7``.

    The first line decides whether the file has two or three columns; the others must follow it.
    Class names come from a label file in the order of its lines; without one they are the numbers.
    """
    lines = numbered_lines(request.file)
    columns = num_columns(lines[0][1], request) if lines else 3
    shape = "path num_frames label" if columns == 3 else "path label"
    rows: list[Row] = []
    for number, line in lines:
        parts = line.rsplit(maxsplit=columns - 1)
        numbers = parts[1:]
        well_formed = len(parts) == columns and re.fullmatch(r"\d{1,9}(,\d{1,9})*", parts[-1])
        if not well_formed or (columns == 3 and not re.fullmatch(r"[1-9]\d{0,9}", numbers[0])):
            raise malformed(
                request.file, number, repr(line), f"{shape!r} (label: an index, or several as 1,4,7)"
            )
        places = tuple(dict.fromkeys((request.root / parts[0], request.file.parent / parts[0])))
        labels = tuple(int(label) for label in parts[-1].split(","))
        num_frames = int(numbers[0]) if columns == 3 else None
        rows.append(Row(request.file, number, places, labels, num_frames=num_frames))
    return Parsed(rows, request.label_names)


def num_columns(line: str, request: Request) -> int:
    """3 if the last word but one is a count of frames; a number may also end a path with a space in it."""
    parts = line.rsplit(maxsplit=2)
    if len(parts) == 1 or (len(parts) == 3 and re.fullmatch(r"-?\d+", parts[1])):
        path = line.rsplit(maxsplit=1)[0]
        return 2 if len(parts) == 3 and (request.root / path).exists() else 3
    return 2
