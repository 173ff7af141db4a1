"""Which format an annotation file has, told from its content."""

from __future__ import annotations

import re
from pathlib import Path

from interlace.data.annotations.csv_list import header_columns
from interlace.data.annotations.hmdb51 import PATTERN, split_files
from interlace.data.annotations.sample import AnnotationError
from interlace.data.annotations.text import csv_records, numbered_lines, read_text


def detect_format(file: Path) -> str:
    """The format's name.

    A folder: `hmdb51` if it holds CLASS_test_split1.txt files, else `folder`. A file, by its first line: JSON
    is `something_v2`; a header with youtube_id is `kinetics`, one with path or label is `csv`;
    ``number;text`` is `jester` if the file's name says so, else `something_v1` (they are read alike);
    ``Class/video.avi`` without an index, or beside a classInd.txt, is `ucf101`; numbers at the end after
    spaces are `tsn`; commas are `csv`.

    Raises:
        AnnotationError: none fits, or more than one does; the remedy is to name the format.
    """
    if file.is_dir():
        return "hmdb51" if split_files(file) else "folder"
    if PATTERN.fullmatch(file.name):
        return "hmdb51"
    if read_text(file).lstrip()[:1] in ("[", "{"):
        return "something_v2"
    lines = numbered_lines(file)
    if not lines:
        raise AnnotationError(f"{file}: found an empty file, expected annotations")
    first = lines[0][1]
    if re.match(r"\d+;", first):
        return "jester" if "jester" in file.name.lower() else "something_v1"
    candidates = _candidates(file, first)
    if len(candidates) == 1:
        return candidates[0]
    reason = f"it could be {' or '.join(candidates)}" if candidates else "it fits none"
    raise AnnotationError(
        f"{file}:{lines[0][0]}: cannot tell the format from {first!r}: {reason}; name it with format=..."
    )


def _candidates(file: Path, first: str) -> list[str]:
    records = csv_records(file, first)  # none of a line of empty cells
    cells = records[0][1] if records else []
    lowered = [cell.lower() for cell in cells]
    if "youtube_id" in lowered:
        return ["kinetics"]
    if header_columns(cells) is not None:
        return ["csv"]
    ucf = re.fullmatch(r"([^/]+)/[^/]+\.avi(\s+\d+)?", first)
    if ucf and (ucf[2] is None or (file.parent / "classInd.txt").is_file()):
        return ["ucf101"]
    found: list[str] = []
    three_columns = re.fullmatch(r".+\s\d+\s+\d+(,\d+)*", first)
    if re.fullmatch(r".+\s\d+(,\d+)*", first):
        found.append("tsn")
    if len(cells) >= 2 and not three_columns:
        found.append("csv")
    if ucf and not three_columns and not _counts_from_zero(file):
        found.append(
            "ucf101"
        )  # 'Class/v_x.avi 1': UCF101's own file counts from 1, lists made from it from 0
    return found


def _counts_from_zero(file: Path) -> bool:
    return any(re.search(r"\s0+$", line) for _, line in numbered_lines(file))
