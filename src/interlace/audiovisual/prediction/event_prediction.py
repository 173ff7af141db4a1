"""What a network says of the sound and the picture of one file, second by second."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from interlace.audiovisual.timelines.event_list import relevant_segments
from interlace.audiovisual.timelines.timeline import runs

BACKGROUND = "background"
"""The label of a second without an event."""
MATCH = "match"
"""The label of a second that was found for a query."""

Modality = Literal["audio", "visual"]
VERBS: dict[Modality, str] = {"audio": "heard", "visual": "seen"}


@dataclass(frozen=True)
class EventQuery:
    """Where an event is in one modality; it is to be found in the other one.

    Example:
        >>> from interlace.audiovisual.prediction.event_prediction import EventQuery
        >>> print(EventQuery("audio", 2.0, 4.5))
        heard from 2 to 4.5 s
    """

    modality: Modality
    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if self.modality not in VERBS:
            raise ValueError(f"query {self.modality!r} is no modality; choose audio or visual")
        if not 0 <= self.start_seconds < self.end_seconds < math.inf:
            raise ValueError(
                f"start={self.start_seconds:g} and end={self.end_seconds:g} seconds are no stretch of a video; "
                "the end comes after the start, and the start is 0 or more"
            )

    @property
    def asked(self) -> Modality:
        """The other modality, which is searched."""
        return "visual" if self.modality == "audio" else "audio"

    def __str__(self) -> str:
        return f"{VERBS[self.modality]} {_span(self.start_seconds, self.end_seconds)}"


@dataclass(frozen=True)
class EventSpan:
    """A stretch of seconds with the same label."""

    label: str
    start_seconds: float
    end_seconds: float

    def __str__(self) -> str:
        return f"{self.label} {_span(self.start_seconds, self.end_seconds)}"


@dataclass(frozen=True)
class EventPrediction:
    """The label of each second of a video, and what it comes from.

    Example:
        >>> from interlace.audiovisual.prediction.event_prediction import EventPrediction
        >>> labels = ("background", "bark", "bark")
        >>> print(EventPrediction("a.mp4", labels, 2.6, scores=(("bark", 0.97), ("moo", 0.03))))
        a.mp4: bark (97.0%) from 1 to 2.6 s
    """

    path: str
    labels: tuple[str, ...]
    """One a second: an event, or ``background``; of a query, ``match`` or ``background``."""
    duration_seconds: float
    """Of the video's picture."""
    relevance: tuple[float, ...] | None = None
    """p: probability that an event is seen and heard in the second."""
    heard: tuple[float, ...] | None = None
    """p^A: how well what is heard in the second fits to what is seen; of networks that have it."""
    seen: tuple[float, ...] | None = None
    """p^V: how well what is seen in the second fits to what is heard."""
    fit: tuple[float, ...] | None = None
    """How well a second fits to the query, of networks whose scores are no probabilities; the higher the better."""
    scores: tuple[tuple[str, float], ...] = ()
    """(event, probability) for the video as a whole, best first."""
    has_sound: tuple[bool, ...] = ()
    """False in seconds for which the file has no sound."""
    query: EventQuery | None = None
    """What was asked, of networks for cross-modality localization."""
    notes: tuple[str, ...] = ()
    """What is odd about the file."""

    def __post_init__(self) -> None:
        for name in ("relevance", "heard", "seen", "fit", "has_sound"):
            values = getattr(self, name)
            if values and len(values) != len(self.labels):
                raise ValueError(
                    f"{self.path}: {len(values)} values of {name} for {len(self.labels)} seconds"
                )
        numbers = [*(self.relevance or ()), *(self.heard or ()), *(self.seen or ()), *(self.fit or ())]
        if not all(map(math.isfinite, [*numbers, *(score for _, score in self.scores)])):
            raise ValueError(
                f"{self.path}: the network gives numbers that are not finite; it has diverged or its weights are "
                "damaged, use another checkpoint"
            )

    @property
    def spans(self) -> tuple[EventSpan, ...]:
        """The stretches with an event, in order of time; the last one ends with the video at the latest."""
        return tuple(
            EventSpan(label, float(start), self.end_of(end - 1))
            for start, end, label in runs(self.labels)
            if label != BACKGROUND
        )

    def end_of(self, second: int) -> float:
        """Where a second ends: the last one may be cut short by the end of the video."""
        is_last = second == len(self.labels) - 1
        return min(second + 1.0, max(self.duration_seconds, float(second))) if is_last else second + 1.0

    @property
    def event(self) -> str | None:
        """The event that most seconds have, of several the more probable one; None where all is background."""
        seconds = Counter(label for label in self.labels if label != BACKGROUND)
        return max(seconds, key=lambda label: (seconds[label], self.score(label) or 0.0), default=None)

    def score(self, label: str) -> float | None:
        """The probability of an event for the video as a whole."""
        return dict(self.scores).get(label)

    @property
    def answer(self) -> str:
        """What was found, in words, without the file's name."""
        where = " and ".join(_span(span.start_seconds, span.end_seconds) for span in self.spans[:3])
        where += f" and {len(self.spans) - 3} times more" if len(self.spans) > 3 else ""
        if self.query is not None:
            return f"what is {self.query} is {VERBS[self.query.asked]} {where}"
        if self.event is None:
            return "background only"
        if len({span.label for span in self.spans}) > 1:
            told = "; ".join(str(span) for span in self.spans[:3])
            return told + (f"; {len(self.spans) - 3} more" if len(self.spans) > 3 else "")
        # Of the events that the network knows; of one alone it is 100 %, whatever is seen and heard.
        score = self.score(self.event) if len(self.scores) > 1 else None
        return f"{self.event}{'' if score is None else f' ({score:.1%})'} {where}"

    def __str__(self) -> str:
        return f"{self.path}: {self.answer}"


def query_region(query: EventQuery, num_seconds: int, duration_seconds: float, name: str) -> tuple[bool, ...]:
    """The seconds of which a query covers half or more, by the rule of listed events.

    Raises:
        ValueError: it is outside of the video, covers half of no second, or all of them.

    Example:
        >>> from interlace.audiovisual.prediction.event_prediction import EventQuery, query_region
        >>> query_region(EventQuery("audio", 0.4, 2.6), 4, 3.7, "a.mp4")
        (True, True, True, False)
    """
    start, end = query.start_seconds, query.end_seconds
    if start >= duration_seconds:
        raise ValueError(
            f"{name}: the query starts at {start:g} s, but the video ends at {round(duration_seconds, 2):g} s"
        )
    region = tuple(relevant_segments([(start, end)], num_seconds, duration_seconds).tolist())
    if not any(region):
        raise ValueError(
            f"{name}: the query from {start:g} to {end:g} s covers half of no second; make it longer"
        )
    if all(region):
        raise ValueError(
            f"{name}: the query covers the whole video ({num_seconds} s), so there is nothing to find; make it shorter"
        )
    return region


def _span(start: float, end: float) -> str:
    return f"from {round(start, 2):g} to {round(end, 2):g} s"
