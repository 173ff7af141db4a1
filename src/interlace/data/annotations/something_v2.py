"""Something-Something V2: a JSON list of clips, and a JSON object name -> index."""

from __future__ import annotations

from interlace.data.annotations.class_names import beside
from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import malformed
from interlace.data.annotations.something_v1 import clip_folders
from interlace.data.annotations.text import json_items


def read_something_v2(request: Request) -> Parsed:
    """Clips are ``id.webm`` (or .mp4, or a folder of frames ``id``) in root or in ``root/20bn-*``.

    The class is the template without its brackets: "Putting [something] on [something]" is the class
    "Putting something on something". Without a label file, ``*labels*.json`` beside the annotations is taken.
    A test list, whose items have an id only, is an error.
    """
    names = request.label_names or beside(request.file, "*labels*.json")
    folders = clip_folders(request.root)
    rows: list[Row] = []
    for number, item in json_items(request.file):
        clip = str(item.get("id", "")) if isinstance(item, dict) else ""
        template = str(item.get("template", "")) if isinstance(item, dict) else ""
        if not clip or not template:
            test = " (a test list without labels?)" if clip else ""
            raise malformed(request.file, number, str(item)[:80], f"an object with id and template{test}")
        name = template.replace("[", "").replace("]", "")
        places = tuple(folder / (clip + suffix) for folder in folders for suffix in (".webm", ".mp4", ""))
        rows.append(Row(request.file, number, places, (name,)))
    return Parsed(rows, names)
