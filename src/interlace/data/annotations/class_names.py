"""Names of classes: the files they stand in, and the nearest name when one is unknown."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from interlace.data.annotations.sample import AnnotationError, malformed
from interlace.data.annotations.text import numbered_lines, read_text


def read_class_names(file: Path) -> tuple[str, ...]:
    r"""Class names in the order of their indices, from any of the label files in use.

    One name a line; ``index name`` or ``index,name`` a line, counted from 0 or from 1 (UCF101's
    ``classInd.txt``); a JSON object name -> index (Something-Something V2); a JSON list of names.

    Raises:
        AnnotationError: indices with gaps, names that occur twice, an empty file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.data.annotations import read_class_names
        >>> file = Path(tempfile.mkdtemp()) / "classInd.txt"
        >>> _ = file.write_text("1 Archery\n2 Billiards\n")
        >>> read_class_names(file)
        ('Archery', 'Billiards')
    """
    is_json = read_text(file).lstrip()[:1] in ("{", "[")
    names = _names_from_json(file) if is_json else _names_from_lines(file)
    if not names:
        raise malformed(file, None, "no class name", "one name a line")
    if len(set(names)) < len(names):
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        raise malformed(file, None, f"names that occur twice: {twice}", "every class once")
    return tuple(names)


def _names_from_json(file: Path) -> list[str]:
    try:
        content = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise malformed(file, error.lineno, f"broken JSON ({error.msg})", "name -> index") from error
    except (RecursionError, ValueError) as error:
        raise malformed(file, None, f"JSON that cannot be read ({error})", "name -> index") from error
    if isinstance(content, list):
        return [str(name) for name in content]
    try:
        indexed = sorted((int(index), str(name)) for name, index in content.items())
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed(file, None, f"an index that is not a number ({error})", "name -> index") from error
    return _in_order(file, indexed, None)


def _names_from_lines(file: Path) -> list[str]:
    lines = numbered_lines(file)
    if lines and re.fullmatch(r"(id|index|label)\s*[,\t]\s*(name|label|class)", lines[0][1].lower()):
        lines = lines[1:]
    matches = [re.fullmatch(r"(\d{1,9})(?:\s*[,\t]\s*|\s+)(.+)", line) for _, line in lines]
    indexed = [(int(match[1]), match[2].strip().strip('"')) for match in matches if match]
    if len(indexed) < len(lines) or not _counts_up(sorted(index for index, _ in indexed)):
        return [line.strip('"') for _, line in lines]  # plain names; one may well begin with a number
    return _in_order(file, sorted(indexed), lines[0][0])


def _counts_up(indices: list[int]) -> bool:
    return bool(indices) and indices == list(range(indices[0], indices[0] + len(indices))) and indices[0] < 2


def _in_order(file: Path, indexed: list[tuple[int, str]], line: int | None) -> list[str]:
    indices = [index for index, _ in indexed]
    if not _counts_up(indices):
        raise malformed(file, line, f"indices {indices[:8]}...", "every index once, from 0 or from 1")
    return [name for _, name in indexed]


def beside(file: Path, pattern: str) -> tuple[str, ...] | None:
    """Class names from the only file next to ``file`` that matches ``pattern``; None if there is none."""
    found = [path for path in sorted(file.parent.glob(pattern)) if path != file]
    if len(found) > 1:
        raise AnnotationError(
            f"{file}: found several label files beside it ({', '.join(path.name for path in found)}), "
            "expected one; name it with labels="
        )
    return read_class_names(found[0]) if found else None


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint for an unknown name, e.g. ``the nearest is 'walk'``."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"the nearest is {close[0]!r}" if close else f"e.g. {', '.join(map(repr, names[:3]))}"
