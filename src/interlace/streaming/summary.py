"""What a stream has come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Summary:
    """Counts of a stream that is over.

    Example:
        >>> from interlace.streaming.summary import Summary
        >>> latency = {"p50": 21.0, "p95": 30.0, "p99": 41.0}
        >>> print(Summary(10.0, 10.0, 304, 300, 4, 0, 38, 2, latency, ("wave", 0.9, 3.2)))
        10.0 s, 304 frames decoded, 300 looked at (30.0 a second), 4 dropped,
        38 predictions (latency 21 ms, p95 30, p99 41), 2 events
    """

    seconds: float
    """Of the clock on the wall."""
    stream_seconds: float
    """Of the time stamps."""
    decoded: int
    """Frames that came."""
    num_frames: int
    """Frames that were looked at: neither thinned out nor dropped."""
    dropped: int
    """Frames that were left out so as not to fall behind."""
    reconnects: int
    """How often the source came back."""
    num_answers: int
    """Of the network."""
    num_events: int
    """That have begun and ended."""
    latency_ms: dict[str, float]
    """p50, p95 and p99 of the time from a frame to the answer; empty without answers."""
    best: tuple[str, float, float] | None
    """(label, smoothed score, second) of the highest score that there was."""

    @property
    def fps(self) -> float:
        """Frames a second that were looked at."""
        return self.num_frames / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        latency = self.latency_ms
        took = ""
        if latency:
            took = f" (latency {latency['p50']:.0f} ms, p95 {latency['p95']:.0f}, p99 {latency['p99']:.0f})"
        back = f", came back {_times(self.reconnects)}" if self.reconnects else ""
        parts = (
            f"{self.stream_seconds:.1f} s",
            f"{_count(self.decoded, 'frame')} decoded",
            f"{self.num_frames} looked at ({self.fps:.1f} a second)",
            f"{self.dropped} dropped{back}",
            _count(self.num_answers, "prediction") + took,
            _count(self.num_events, "event"),
        )
        return ", ".join(parts)


def percentiles(latencies_seconds: Iterable[float]) -> dict[str, float]:
    """Of latencies, in milliseconds.

    Example:
        >>> from interlace.streaming.summary import percentiles
        >>> percentiles([0.25, 0.5, 0.75])["p50"], percentiles([])
        (500.0, {})
    """
    values = np.fromiter(latencies_seconds, dtype=np.float64)
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"p{part}": float(1000 * value) for part, value in zip(PERCENTILES, found, strict=True)}


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
