"""From scores that go up and down to events with a beginning and an end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor

ROUNDING = 1e-6
"""Seconds."""


@dataclass(frozen=True)
class Event:
    """Something that happens for a while.

    Example:
        >>> from interlace.streaming.events import Event
        >>> print(Event("wave", 3.2, 5.8, score=0.712, peak=0.881))
        wave from 3.2 to 5.8 s, mean 71.2%, peak 88.1%
    """

    label: str
    start_seconds: float
    end_seconds: float | None
    """None while it goes on."""
    score: float
    """Mean of the label's smoothed score, so far."""
    peak: float
    """The highest one, so far."""

    def __str__(self) -> str:
        if self.end_seconds is None:
            return (
                f"{self.label} since {self.start_seconds:.1f} s, mean {self.score:.1%}, peak {self.peak:.1%}"
            )
        span = f"from {self.start_seconds:.1f} to {self.end_seconds:.1f} s"
        return f"{self.label} {span}, mean {self.score:.1%}, peak {self.peak:.1%}"


@dataclass
class _Running:
    """An event that goes on; not told before it has lasted long enough."""

    event: Event
    count: int = 1
    is_told: bool = False


@dataclass(frozen=True)
class Thresholds:
    """When an event begins and ends.

    Raises:
        ValueError: not 0 < end_score <= begin_score <= 1; a negative margin or length.

    Example:
        >>> from interlace.streaming.events import Thresholds
        >>> Thresholds(begin_score=0.6)
        Thresholds(begin_score=0.6, end_score=0.3, margin=0.1, min_seconds=0.5)
    """

    begin_score: float = 0.5
    """It begins when its label's smoothed score reaches this,"""
    end_score: float = 0.3
    """ends when the score falls below this,"""
    margin: float = 0.1
    """or another label's score is higher by this;"""
    min_seconds: float = 0.5
    """and is no event before it has lasted so long."""

    def __post_init__(self) -> None:
        if not 0 < self.end_score <= self.begin_score <= 1:
            raise ValueError(
                f"begin_score={self.begin_score:g} and end_score={self.end_score:g}: an event begins at the one and "
                "ends below the other, so 0 < end_score <= begin_score <= 1"
            )
        if not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin={self.margin:g} is a difference of scores, 0 or more")
        if not 0 <= self.min_seconds < float("inf"):
            raise ValueError(f"min_seconds={self.min_seconds:g} is a length of time, 0 or more")


@dataclass
class EventFinder:
    """Smoothed probabilities to events, by hysteresis: one threshold to begin, a lower one to end.

        score  .1 .4 .6 .4 .6 .2 .1        begins at 0.5, ends below 0.3:  ....|--------|...

    One event goes on at a time; where several labels are possible at once (``multi_label``), one of each, and other
    labels' scores are no matter. Labels in ``ignore`` (background) are never events, but end others.

    Raises:
        ValueError: ``ignore`` names a label that is not there.

    Example:
        >>> import torch
        >>> from interlace.streaming.events import EventFinder, Thresholds
        >>> finder = EventFinder(["clap", "wave"], Thresholds(min_seconds=0.0))
        >>> for second, score in enumerate((0.1, 0.6, 0.4, 0.9, 0.2)):
        ...     for event in finder(torch.tensor([score, 0.0]), float(second)):
        ...         print(event)
        clap since 1.0 s, mean 60.0%, peak 60.0%
        clap from 1.0 to 4.0 s, mean 63.3%, peak 90.0%
    """

    labels: Sequence[str]
    thresholds: Thresholds = field(default_factory=Thresholds)
    multi_label: bool = False
    ignore: Collection[str] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.ignore if name not in self.labels]
        if unknown:
            some = ", ".join(map(repr, self.labels[:5]))
            raise ValueError(
                f"ignore names {unknown[0]!r}, which is no label of the network; it has {some} ..."
            )
        self._running: dict[int, _Running] = {}
        self._time_seconds = 0.0

    def __call__(self, probabilities: Float[Tensor, " K"], time_seconds: float) -> list[Event]:
        """The events that have ended with this answer, and those that have (lasted long enough to have) begun."""
        scores: list[float] = probabilities.tolist()
        best = max(range(len(scores)), key=scores.__getitem__)
        self._time_seconds = time_seconds
        over = [label for label in self._running if self._is_over(label, scores, best)]
        ended = [event for label in over for event in self._end(label, time_seconds)]
        for label, running in self._running.items():
            _count(running, scores[label])
        for label in range(len(scores)) if self.multi_label else [best]:
            self._begin(label, scores[label], time_seconds)
        return ended + [self._told(running) for running in self._running.values() if self._is_news(running)]

    @property
    def running(self) -> tuple[Event, ...]:
        """The events that go on."""
        return tuple(running.event for running in self._running.values() if running.is_told)

    def finish(self) -> list[Event]:
        """End all events with the last answer: the stream is over, or was interrupted."""
        return [event for label in list(self._running) for event in self._end(label, self._time_seconds)]

    def _is_over(self, label: int, scores: Sequence[float], best: int) -> bool:
        is_beaten = not self.multi_label and scores[best] > scores[label] + self.thresholds.margin
        return scores[label] < self.thresholds.end_score or is_beaten

    def _begin(self, label: int, score: float, time_seconds: float) -> None:
        is_free = label not in self._running if self.multi_label else not self._running
        if is_free and score >= self.thresholds.begin_score and self.labels[label] not in self.ignore:
            event = Event(self.labels[label], time_seconds, None, score, score)
            self._running[label] = _Running(event)

    def _end(self, label: int, time_seconds: float) -> list[Event]:
        running = self._running.pop(label)
        return [replace(running.event, end_seconds=time_seconds)] if running.is_told else []

    def _is_news(self, running: _Running) -> bool:
        lasted = self._time_seconds - running.event.start_seconds
        return not running.is_told and lasted >= self.thresholds.min_seconds - ROUNDING

    def _told(self, running: _Running) -> Event:
        running.is_told = True
        return running.event


def _count(running: _Running, score: float) -> None:
    """Take another score of the label into its mean and peak."""
    running.count += 1
    event = running.event
    mean = event.score + (score - event.score) / running.count
    running.event = replace(event, score=mean, peak=max(event.peak, score))
