"""Our counts beside the papers' figures: equal, rounded, explained, or open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from interlace.comparison.costs import Costs
from interlace.comparison.notes import Figure, Note, note_for
from interlace.comparison.published import Published, rounds_to

TOLERANCE = 0.01

Verdict = Literal["equal", "rounded", "explained", "open"]
"""Within 1 %; equal at the digits that are printed; equal in a recount under a note; none of these."""


@dataclass(frozen=True)
class Agreement:
    """One figure of one row."""

    printed: str
    ratio: float
    """Ours over theirs."""
    verdict: Verdict
    note: Note | None = None
    recount: float | None = None
    """What the note's count gives."""


def agreement(row: Published, figure: Figure, costs: Costs) -> Agreement | None:
    """Compare a count with what a table states; None where it states nothing.

    Example:
        >>> from interlace.comparison.agreement import agreement
        >>> from interlace.comparison.costs import Costs
        >>> from interlace.comparison.published import TABLE_1
        >>> agreement(TABLE_1[1], "gmac", Costs((8,), 3, "rgb", 32.7, 23.86)).verdict
        'equal'
    """
    printed: str | None = getattr(row, figure)
    if printed is None:
        return None
    ours: float = getattr(costs, figure)
    ratio = ours / float(printed)
    if is_equal(ours, printed):
        return Agreement(printed, ratio, "equal")
    if rounds_to(ours, printed):
        return Agreement(printed, ratio, "rounded")
    note = note_for(row, figure)
    if note is None or note.recount is None:
        return Agreement(printed, ratio, "open", note)
    recount = note.recount(row)
    explains = is_equal(recount, printed) or rounds_to(recount, printed)
    return Agreement(printed, ratio, "explained" if explains else "open", note, recount)


def is_equal(ours: float, printed: str) -> bool:
    """Within 1 % of what is printed.

    Example:
        >>> from interlace.comparison.agreement import is_equal
        >>> is_equal(24.1, "24.3"), is_equal(23.9, "24.3")
        (True, False)
    """
    return abs(ours / float(printed) - 1) <= TOLERANCE
