"""When frames are shown: the source's time stamps, as far as they can be believed."""

from __future__ import annotations

_JUMP_SECONDS = 10.0
"""How far a live source may be ahead of the clock from one frame to the next: more is another clock."""
_BACK_SECONDS = 1.0
"""How far time stamps may fall back before they count as begun anew."""
_DRIFT = 0.001
"""Two clocks drift apart; ten times what bad quartz does."""


class Timeline:
    """Seconds since the first frame, always rising.

        stamps  5.0  5.1  5.1   5.3  none          (nominal 0.04)
        times   0.0  0.1  0.14  0.3  0.34

    A live source that goes back, or jumps, or comes back after a while, goes on at the time that has passed on the
    clock; a file that goes back goes on where it was.

    Example:
        >>> from interlace.data.live_times import Timeline
        >>> timeline = Timeline(nominal_seconds=0.04, is_live=False)
        >>> [round(timeline.at(pts, now=0.0)[0], 2) for pts in (5.0, 5.1, 5.1, 5.3, None)]
        [0.0, 0.1, 0.14, 0.3, 0.34]
    """

    def __init__(self, *, nominal_seconds: float, is_live: bool) -> None:
        self._nominal = nominal_seconds
        self._is_live = is_live
        self._start: float | None = None
        self._base: float | None = None
        self._last = self._last_now = 0.0

    def at(self, pts_seconds: float | None, now: float) -> tuple[float, bool]:
        """The time of the next frame, and whether a live source's time stamps have begun anew.

        ``now`` is any clock that does not stop.
        """
        if self._start is None:
            self._start, time, is_new = now, 0.0, False
            self._base = pts_seconds
        else:
            time, is_new = self._next(pts_seconds, now - self._start, now - self._last_now)
        self._last, self._last_now = time, now
        return time, is_new

    def restart(self) -> None:
        """The source was away: its time stamps begin anew."""
        self._base = None

    def rewind(self) -> None:
        """A recording is read again from an earlier place: its times are what they were."""
        self._last = -1.0

    def _next(self, pts: float | None, passed: float, step: float) -> tuple[float, bool]:
        soonest = self._last + self._nominal
        arrived = max(soonest, passed) if self._is_live else soonest
        if pts is None:
            return arrived, False
        if self._base is not None:
            time = pts - self._base
            leaps = self._is_live and time - self._last > step + _JUMP_SECONDS
            if time > self._last and not leaps:
                return time, False
            if time > self._last - _BACK_SECONDS and not leaps:
                return soonest, False
        self._base = pts - arrived
        return arrived, self._is_live


class Lateness:
    """How far frames are behind the earliest of them: what decodes, or the network, does not keep up.

    Example:
        >>> from interlace.data.live_times import Lateness
        >>> lateness = Lateness()
        >>> [round(lateness.of(time, now), 1) for time, now in ((0.0, 7.0), (0.1, 7.1), (0.2, 7.5))]
        [0.0, 0.0, 0.3]
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._last_now = 0.0

    def of(self, time_seconds: float, now: float) -> float:
        """Seconds by which this frame comes later than the earliest ones did."""
        lag = now - time_seconds
        drift = _DRIFT * (now - self._last_now)
        self._least = lag if self._least is None else min(lag, self._least + drift)
        self._last_now = now
        return lag - self._least
