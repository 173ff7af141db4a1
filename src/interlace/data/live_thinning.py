"""So many frames a second of those that come, by their time stamps."""

from __future__ import annotations

_SLACK = 0.25
"""Part of a period by which a frame may come early: the time stamps of cameras tremble."""


class Thinning:
    """Picks about ``frame_rate`` of the frames of each second; all of them if there are no more, or for None.

        times  0.0 0.1 0.2 0.3 0.4 0.5 0.6        rate 4:  x . x . . x .

    One period follows the other without a drift; a pause of more than one begins anew.

    Raises:
        ValueError: the rate is not above zero.

    Example:
        >>> from interlace.data.live_thinning import Thinning
        >>> thinning = Thinning(4.0)
        >>> [i / 10 for i in range(9) if thinning.wants(i / 10)]
        [0.0, 0.2, 0.5, 0.7]
    """

    def __init__(self, frame_rate: float | None) -> None:
        if frame_rate is not None and not frame_rate > 0:
            raise ValueError(
                f"frame_rate={frame_rate} takes no frame; give a number above 0, or None for all"
            )
        self._period = None if frame_rate is None else 1 / frame_rate
        self._due: float | None = None

    def wants(self, time_seconds: float) -> bool:
        """Whether the frame shown at this time is one of them; times rise."""
        if self._period is None:
            return True
        due = time_seconds if self._due is None else self._due
        if time_seconds < due - _SLACK * self._period:
            return False
        next_due = due + self._period
        self._due = next_due if time_seconds < next_due else time_seconds + self._period
        return True
