"""Something-Something V1: ``id;template`` lines, and a label file with one name a line."""

from __future__ import annotations

from pathlib import Path

from interlace.data.annotations.class_names import beside
from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import numbered_lines


def read_something_v1(request: Request) -> Parsed:
    """Clips are folders of frames ``root/id/00001.jpg`` or ``root/20bn-something-something-v1/id/00001.jpg``.

    Classes are in alphabetical order, as in the lists that the released TSM and TIN were trained with,
    whatever the order of the label file (``*labels*.csv`` beside the annotations, if none is named). A test
    list, which has ids only, is an error.
    """
    return read_id_and_name(request)


def read_id_and_name(request: Request) -> Parsed:
    """``id;name`` a line: Something-Something V1 and Jester."""
    names = request.label_names or beside(request.file, "*labels*.csv")
    folders = clip_folders(request.root)
    rows: list[Row] = []
    for number, line in numbered_lines(request.file):
        clip, _, name = line.partition(";")
        if not clip.strip().isdigit() or not name.strip():
            only_id = " (a test list without labels?)" if line.strip(";").isdigit() else ""
            raise malformed(request.file, number, repr(line), f"'id;label'{only_id}")
        places = tuple(folder / clip.strip() for folder in folders)
        rows.append(Row(request.file, number, places, (name.strip(),)))
    return Parsed(rows, tuple(sorted(names)) if names else None)


def clip_folders(root: Path) -> tuple[Path, ...]:
    """The data root, and the folders in it that the publisher's archives unpack to."""
    return (root, *sorted(path for path in root.glob("20bn-*") if path.is_dir()))
