"""Which rows of the input make which part, and which parts are still to be made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

PREFIX, SUFFIX = "part-", ".parquet"
LARGEST_PART = 256
"""Videos of a part unless told: what a worker that dies has to do again."""
PARTS_OF_A_WORKER = 8
"""At least so many parts for each worker, where there are enough videos: they finish at about the same time."""


@dataclass(frozen=True)
class Part:
    """Rows of the input that are worked on together."""

    name: str
    """Of the file that will hold their answers; it depends on nothing but these rows."""
    positions: tuple[int, ...]
    """Of the rows in the input."""


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    parts: tuple[Part, ...]
    """Those that are not there yet."""
    done: int
    """Rows of the input whose answers are there."""
    strangers: int
    """Rows with answers that the input does not hold (any more)."""

    @property
    def left(self) -> int:
        """Rows of the input that are to be worked on."""
        return sum(len(part.positions) for part in self.parts)


def digests(rows: Iterable[bytes]) -> list[str]:
    """A name for each row by what it holds; the second of two equal rows has another name than the first.

    Example:
        >>> from interlace.corpus.plan import digests
        >>> names = digests([b"a.mp4", b"b.mp4", b"a.mp4"])
        >>> len(set(names)), digests([b"b.mp4"])[0] == names[1]
        (3, True)
    """
    seen: dict[bytes, int] = {}
    found = []
    for row in rows:
        seen[row] = seen.get(row, 0) + 1
        found.append(hashlib.sha256(row + b"\0%d" % seen[row]).hexdigest()[:20])
    return found


def part_name(rows: Sequence[str], suffix: str = SUFFIX) -> str:
    """The file of a part, by the digests of its rows.

    Example:
        >>> from interlace.corpus.plan import part_name
        >>> part_name(["0a", "1b"]) == part_name(["0a", "1b"]) != part_name(["1b", "0a"])
        True
    """
    return PREFIX + hashlib.sha256("\n".join(rows).encode()).hexdigest()[:20] + suffix


def plan(
    rows: Sequence[str],
    videos_per_part: int,
    there: Collection[str],
    rows_of: Callable[[str], Collection[str]],
    suffix: str = SUFFIX,
) -> Plan:
    """Cut the input into parts, and leave out what is done.

    The cuts depend on the input alone. So a process of an earlier run that is still alive writes a part that this
    run would give the same name and the same content. Where the input has changed, the parts of earlier cuts are
    looked into, and the rows that they hold are left out of the new ones::

        input    a b c | d e f | g h        there: "a b c", and "d g" of an earlier cut
        to do            e f     h

    Args:
        rows: Digests of the input's rows, all different.
        videos_per_part: Where the input is cut.
        there: Names of the parts that are there.
        rows_of: The digests that a part holds.
        suffix: Of the parts' names.

    Example:
        >>> from interlace.corpus.plan import part_name, plan
        >>> there = {part_name(["a", "b", "c"]): ["a", "b", "c"], "part-x.parquet": ["d", "g"]}
        >>> todo = plan(list("abcdefgh"), 3, list(there), there.__getitem__)
        >>> [part.positions for part in todo.parts], todo.done
        ([(4, 5), (7,)], 5)
    """
    cuts = [
        range(first, min(first + videos_per_part, len(rows)))
        for first in range(0, len(rows), videos_per_part)
    ]
    named = {part_name([rows[i] for i in cut], suffix): cut for cut in cuts}
    earlier = {row for name in sorted(set(there) - named.keys()) for row in rows_of(name)}
    parts = []
    for name, cut in named.items():
        positions = tuple(i for i in cut if rows[i] not in earlier)
        if name not in there and positions:
            parts.append(Part(part_name([rows[i] for i in positions], suffix), positions))
    left = sum(len(part.positions) for part in parts)
    return Plan(tuple(parts), len(rows) - left, len(earlier - set(rows)))


def videos_per_part(num_videos: int, num_workers: int) -> int:
    """Videos of a part: few enough that all workers have something to do, and that little is lost with one.

    Example:
        >>> from interlace.corpus.plan import videos_per_part
        >>> videos_per_part(650_000, 64), videos_per_part(100, 2), videos_per_part(3, 8)
        (256, 6, 1)
    """
    return max(1, min(LARGEST_PART, num_videos // (PARTS_OF_A_WORKER * num_workers)))
