"""Which networks are compared: the rows of the papers' tables, then the others."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace

from interlace.comparison.own import OwnAccuracy
from interlace.comparison.published import FROM_THE_SLIDES, TABLE_1, Published
from interlace.models import list_models
from interlace.models.create import parse_name

OTHERS = ("*_resnet50", "tsm_mobilenetv2_100")
"""What is compared beside the tables' rows where no name is given: every method once."""


@dataclass(frozen=True)
class Entry:
    """A network, and what others and the user state of it."""

    name: str
    num_segments: int | None = None
    """Frames of a clip; None for as many as the name stands for."""
    published: Published | None = None
    own: OwnAccuracy | None = None


def entries(patterns: Sequence[str] = (), own: Sequence[OwnAccuracy] = ()) -> list[Entry]:
    """The networks that shell patterns name, the tables' rows first; all rows and every other method if none is given.

    Those that the user has accuracies of are there too, whatever the patterns.

    Raises:
        ValueError: a pattern with * or ? fits nothing, or there is no network of a plain name.

    Example:
        >>> from interlace.comparison.entries import entries
        >>> [(entry.name, entry.num_segments) for entry in entries(["tin_released_resnet50", "tin_resnet18"])]
        [('tin_released_resnet50', 8), ('tin_released_resnet50', 16), ('tin_resnet18', None)]
    """
    found = [
        Entry(row.name, row.num_segments, row)
        for row in (*TABLE_1, *FROM_THE_SLIDES)
        if not patterns or any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns)
    ]
    in_tables = {entry.name for entry in found}
    others: dict[str, None] = {}
    for pattern in patterns or OTHERS:
        names = _named(pattern)
        if not names and not any(fnmatch.fnmatchcase(name, pattern) for name in in_tables):
            raise ValueError(f"no network matches {pattern!r}; `interlace models` lists the names")
        others |= dict.fromkeys(name for name in names if name not in in_tables)
    found += [Entry(name) for name in others]
    for accuracy in own:
        place = next((i for i, entry in enumerate(found) if _is_of(accuracy, entry)), None)
        if place is None:
            found.append(Entry(accuracy.name, accuracy.num_segments, own=accuracy))
        else:
            found[place] = replace(found[place], own=accuracy)
    return found


def _named(pattern: str) -> list[str]:
    """Listed names; a plain name may also be one of the many that are not listed."""
    if any(sign in pattern for sign in "*?["):
        return list_models(pattern)
    parse_name(pattern)  # raises here, not after the networks before it have been counted
    return [pattern]


def _is_of(accuracy: OwnAccuracy, entry: Entry) -> bool:
    return entry.name == accuracy.name and accuracy.num_segments in (None, entry.num_segments)
