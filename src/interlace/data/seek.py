"""When to seek and when to decode on: pure index maths.

    key frames   K . . . . . . . K . . . . . . . K . . .
    wanted           1       2               3
    steps        ------------>   seek ------->            1 and 2 lie before the next key frame: decode on
                                 to K                     3 lies past it: seek

Decoding on costs every frame in between; a seek costs the frames from the key frame to the target.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def plan(wanted: Sequence[int], key_frames: Sequence[int], current: int) -> list[tuple[int | None, int]]:
    """The cheapest way through a video that meets every wanted frame.

    ``wanted`` and ``key_frames`` are sorted positions; ``current`` is the position decoded last, -1 at the
    start. Returns steps ``(seek_to, last)``: go to the key frame ``seek_to`` (None: decode on), then decode
    up to and including ``last``.

    Example:
        >>> from interlace.data.seek import plan
        >>> plan([2, 5, 21], key_frames=[0, 8, 16], current=-1)
        [(None, 5), (16, 21)]
        >>> plan([3], key_frames=[0, 8, 16], current=21)
        [(0, 3)]
    """
    steps: list[tuple[int | None, int]] = []
    for target in wanted:
        before = bisect_right(key_frames, target)
        key = key_frames[before - 1] if before else 0
        if target <= current or key > current + 1:
            steps.append((key, target))
        elif steps:
            steps[-1] = (steps[-1][0], target)
        else:
            steps.append((None, target))
        current = target
    return steps
