"""UCF101: ``trainlist01.txt`` with ``Class/v_x.avi 1``, ``testlist01.txt`` without the index."""

from __future__ import annotations

import re

from interlace.data.annotations.class_names import beside
from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import numbered_lines


def read_ucf101(request: Request) -> Parsed:
    """The class is the folder's name; an index, counted from 1, must agree with ``classInd.txt``.

    ``classInd.txt`` is looked for beside the list. Without it, classes are the sorted folder names.
    """
    names = request.label_names or beside(request.file, "classInd.txt")
    rows: list[Row] = []
    for number, line in numbered_lines(request.file):
        match = re.fullmatch(r"(([^/]+)/[^/]+?\.\w+)(?:\s+(\d{1,9}))?", line)
        if match is None:
            raise malformed(request.file, number, repr(line), "'Class/video.avi index' or 'Class/video.avi'")
        path, name, index = match[1], match[2], match[3]
        if names and index and (not 1 <= int(index) <= len(names) or names[int(index) - 1] != name):
            right = f"{name!r} is {names.index(name) + 1}" if name in names else f"1 to {len(names)}"
            raise malformed(
                request.file, number, repr(line), f"an index that agrees with the class file: {right}"
            )
        rows.append(Row(request.file, number, (request.root / path,), (name,)))
    return Parsed(rows, names)
