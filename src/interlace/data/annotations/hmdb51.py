"""HMDB51: a folder of ``CLASS_test_split1.txt`` files with ``name.avi 1|2|0`` a line."""

from __future__ import annotations

import re
from pathlib import Path

from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import AnnotationError, malformed
from interlace.data.annotations.text import numbered_lines

PATTERN = re.compile(r"(.+)_test_split([123])\.txt")
CODES = {"train": "1", "test": "2"}


def read_hmdb51(request: Request) -> Parsed:
    """``split`` is train or test, with the number of the split if it is not the first: train2, test3.

    In the files 1 is training, 2 testing, 0 neither. Clips are ``root/CLASS/name.avi``. The annotation file
    is the folder of the split files, or any one of them: its number then is the split's.
    """
    one_file = PATTERN.fullmatch(request.file.name)
    folder = request.file.parent if one_file else request.file
    wanted = re.fullmatch(r"(train|test|val)([123])?", request.split or "train")
    if wanted is None:
        raise AnnotationError(
            f"{folder}: found split={request.split!r}, expected train or test, e.g. train or test2"
        )
    code = CODES["train" if wanted[1] == "train" else "test"]
    number = wanted[2] or (one_file[2] if one_file else "1")
    files = split_files(folder, number)
    if not files:
        raise AnnotationError(f"{folder}: found no CLASS_test_split{number}.txt, expected one for each class")
    rows = [row for name, file in files.items() for row in _rows(request.root, name, file, code)]
    return Parsed(rows, request.label_names or tuple(files))


def split_files(folder: Path, number: str = "1") -> dict[str, Path]:
    """Class name -> its file for one of the three splits, sorted."""
    matches = [(PATTERN.fullmatch(path.name), path) for path in folder.glob(f"*_test_split{number}.txt")]
    return dict(sorted((match[1], path) for match, path in matches if match))


def _rows(root: Path, name: str, file: Path, code: str) -> list[Row]:
    rows: list[Row] = []
    for number, line in numbered_lines(file):
        parts = line.rsplit(maxsplit=1)
        if len(parts) != 2 or parts[1] not in ("0", "1", "2"):
            raise malformed(file, number, repr(line), "'name.avi 1' (1: train, 2: test, 0: neither)")
        if parts[1] == code:
            rows.append(Row(file, number, (root / name / parts[0], root / parts[0]), (name,)))
    return rows
