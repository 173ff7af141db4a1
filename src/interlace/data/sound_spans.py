"""Where a row of samples has sound, and what to say of the rest.

Spans are (first, one past the last), in samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

Span = tuple[int, int]

NOTABLE_SECONDS = 0.1
"""Less is a codec's padding or the rest of a packet, and is not worth a word."""
SHORTEST_GAP_SECONDS = 0.015
"""Of a gap that is told: a packet that is lost leaves 20 ms (Opus) or more."""
# Samples that rounding can leave between two pieces that join.
_ROUNDING = 2


def joined(spans: Iterable[Span]) -> list[Span]:
    """Sorted, and apart from each other.

    Example:
        >>> from interlace.data.sound_spans import joined
        >>> joined([(0, 30), (70, 90), (31, 60), (80, 95)])
        [(0, 60), (70, 95)]
    """
    apart: list[Span] = []
    for span in sorted(spans):
        add(apart, span)
    return apart


def add(spans: list[Span], span: Span) -> None:
    """Put a span at the end of a list, or make the last one longer if it goes on where that ends."""
    if spans and spans[-1][0] <= span[0] <= spans[-1][1] + _ROUNDING:
        first, last = spans[-1]
        spans[-1] = (first, max(last, span[1]))
    else:
        spans.append(span)


def covered(spans: list[Span], num_seconds: int, rate: int) -> np.ndarray:
    """How many samples of each second lie in one of the spans, which are apart.

    Example:
        >>> from interlace.data.sound_spans import covered
        >>> covered([(50, 120), (170, 200)], num_seconds=3, rate=100).tolist()
        [50.0, 50.0, 0.0]
    """
    edges, counts = [0], [0]
    for first, last in spans:
        edges += [first, last]
        counts += [counts[-1], counts[-1] + last - first]
    return np.diff(np.interp(np.arange(num_seconds + 1) * rate, edges, counts))


def gap_notes(spans: list[Span], rate: int, num_seconds: float) -> list[str]:
    """A late start, gaps, and an end before ``num_seconds``, in words.

    Example:
        >>> from interlace.data.sound_spans import gap_notes
        >>> gap_notes([(50, 120), (170, 190)], rate=100, num_seconds=2.0)[:2]
        ['the sound begins at 0.50 s: zeros before', 'a gap of 0.50 s in the sound (at 1.20 s): zeros there']
    """
    if not spans:
        return ["its sound track holds no sound for these seconds: zeros"]
    notes = []
    begins, ends = spans[0][0] / rate, spans[-1][1] / rate
    if begins >= NOTABLE_SECONDS:
        notes.append(f"the sound begins at {begins:.2f} s: zeros before")
    gaps = [(last / rate, (first - last) / rate) for (_, last), (first, _) in pairwise(spans)]
    gaps = [(at, length) for at, length in gaps if length >= SHORTEST_GAP_SECONDS]
    if gaps:
        count = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
        where = ", ".join(f"{at:.2f} s" for at, _ in gaps[:3]) + (", ..." if len(gaps) > 3 else "")
        total = sum(length for _, length in gaps)
        notes.append(f"{count} of {total:.2f} s in the sound (at {where}): zeros there")
    if num_seconds - ends >= NOTABLE_SECONDS:
        notes.append(f"the sound ends at {ends:.2f} s: zeros from there")
    return notes
