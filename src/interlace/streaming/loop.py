"""Frames in, updates out: source -> steps -> smoothing -> events, and what is counted on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, runtime_checkable

from interlace.data.live_mailbox import LiveFrame
from interlace.streaming.answers import Answer, Answers
from interlace.streaming.events import Event, EventFinder
from interlace.streaming.frame_steps import FrameSteps
from interlace.streaming.smoothing import Smoothing
from interlace.streaming.summary import Summary, percentiles

LATENCIES = 10_000
"""The last ones, of which percentiles are taken: a stream of days must not fill the memory."""
IDLE_SECONDS = 0.5
"""How long to wait for a frame before saying that none comes."""
RATE_FRAMES = 30
"""Frames over which the present rate is taken."""


@runtime_checkable
class Source(Protocol):
    """What the loop asks of a :class:`interlace.data.live.LiveSource`."""

    def next_frame(self, timeout_seconds: float | None = None) -> LiveFrame | None:
        """The next frame in colors; None if none comes in time."""

    @property
    def is_over(self) -> bool:
        """Nothing will come any more."""

    @property
    def away(self) -> str | None:
        """Why the source is away at the moment."""

    @property
    def decoded(self) -> int:
        """Frames that came."""

    @property
    def dropped(self) -> int:
        """Frames that were left out so as not to fall behind."""

    @property
    def reconnects(self) -> int:
        """How often the source came back."""


@dataclass(frozen=True)
class Update:
    """The state of the stream at a frame, and what has changed with it."""

    frame: LiveFrame | None
    """None at the end of the stream, and while none comes."""
    time_seconds: float
    answer: Answer | None
    """Of the network, if there is a new one."""
    top: tuple[tuple[str, float], ...]
    """(label, smoothed score) pairs of the newest answer, best first; empty before the first."""
    events: tuple[Event, ...]
    """Those that have just ended (``end_seconds`` is set) or begun."""
    running: tuple[Event, ...]
    """Those that go on."""
    gap: bool
    """The source was away before this frame; everything began anew."""
    away: str | None
    """Why it is away at the moment."""
    fps: float
    """Frames a second at present."""
    dropped: int
    """Frames left out since the beginning, so as not to fall behind."""
    latency_seconds: float | None
    """Of the newest answer."""


class StreamLoop:
    """Follows a stream.

    Args:
        source: open, see :func:`interlace.data.live.open_live`.
        steps: the network.
        smoothing: of its answers.
        events: what finds events in them.
        top_k: labels of an update.
        beside: let networks that see windows work in a thread of their own while frames go on arriving. For live
            pace: without it every window that is due is answered, and the source waits.

    Example:
        >>> from interlace.streaming.loop import StreamLoop
        >>> with StreamLoop(source, steps, smoothing=smoothing, events=events) as loop:  # doctest: +SKIP
        ...     for update in loop.updates():
        ...         print(update.top)
        ...     print(loop.finish().events, loop.summary())
    """

    def __init__(
        self,
        source: Source,
        steps: FrameSteps,
        *,
        smoothing: Smoothing,
        events: EventFinder,
        top_k: int = 5,
        beside: bool = False,
    ) -> None:
        self._source = source
        self._steps = steps
        self._smoothing = smoothing
        self._finder = events
        self._top_k = top_k
        self._answers = Answers(steps, beside=beside and steps.is_repeatable)
        self._top: tuple[tuple[str, float], ...] = ()
        self._arrivals: deque[float] = deque(maxlen=RATE_FRAMES)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._began = perf_counter()
        self._time_seconds = 0.0
        self._num_frames = self._num_answers = self._num_events = 0
        self._best: tuple[str, float, float] | None = None

    def updates(self) -> Iterator[Update]:
        """An update for each frame until the source ends, and now and then one without, while none comes.

        Raises:
            ValueError: the network gives numbers that are not finite; or what the source raises.
        """
        while not self._source.is_over:
            frame = self._source.next_frame(IDLE_SECONDS)
            arrived = perf_counter()
            if frame is None:
                answer = self._answers.collect()
                events = self._take_in(answer) + (self._end_events() if self._source.away else [])
                yield self._update(None, answer, events)
                continue
            self._began = arrived if self._num_frames == 0 else self._began
            self._num_frames += 1
            self._arrivals.append(arrived)
            events = self._begin_anew() if frame.after_gap else []
            self._time_seconds = frame.time_seconds
            seen = self._steps.take(frame.pixels, frame.time_seconds)
            if seen is not None:
                self._answers.ask(seen, frame.time_seconds, arrived)
            answer = self._answers.collect()
            yield self._update(frame, answer, events + self._take_in(answer))

    def finish(self) -> Update:
        """The last update, however the stream has ended: what was still to be answered, and the end of all events."""
        answer = self._answers.collect(wait=True)
        left = self._steps.last()
        if left is not None:
            self._answers.ask(left, self._time_seconds, perf_counter())
            answer = self._answers.collect(wait=True)
        return self._update(None, answer, self._take_in(answer) + self._end_events())

    def summary(self) -> Summary:
        """What was counted so far."""
        return Summary(
            seconds=perf_counter() - self._began,
            stream_seconds=self._time_seconds,
            decoded=self._source.decoded,
            num_frames=self._num_frames,
            dropped=self._source.dropped,
            reconnects=self._source.reconnects,
            num_answers=self._num_answers,
            num_events=self._num_events,
            latency_ms=percentiles(self._latencies),
            best=self._best,
        )

    def close(self) -> None:
        """Wait for the network's thread."""
        self._answers.close()

    def _begin_anew(self) -> list[Event]:
        """Forget what was before a gap, the answer in the making with it."""
        self._answers.collect(wait=True)
        self._steps.reset()
        self._smoothing.reset()
        self._top = ()
        return self._end_events()

    def _end_events(self) -> list[Event]:
        ended = self._finder.finish()
        self._num_events += len(ended)
        return ended

    def _take_in(self, answer: Answer | None) -> list[Event]:
        """What an answer changes."""
        if answer is None:
            return []
        self._num_answers += 1
        self._latencies.append(answer.latency_seconds)
        smoothed = self._smoothing(answer.probabilities, answer.time_seconds)
        self._top = self._steps.recognizer.best(smoothed, self._top_k)
        label, score = self._top[0]
        if self._best is None or score > self._best[1]:
            self._best = (label, score, answer.time_seconds)
        events = self._finder(smoothed, answer.time_seconds)
        self._num_events += sum(event.end_seconds is not None for event in events)
        return events

    def _update(self, frame: LiveFrame | None, answer: Answer | None, events: Sequence[Event]) -> Update:
        return Update(
            frame=frame,
            time_seconds=self._time_seconds,
            answer=answer,
            top=self._top,
            events=tuple(events),
            running=self._finder.running,
            gap=frame is not None and frame.after_gap,
            away=self._source.away,
            fps=self._rate(),
            dropped=self._source.dropped,
            latency_seconds=self._latencies[-1] if self._latencies else None,
        )

    def _rate(self) -> float:
        """Frames a second at present; 0 until there are two."""
        if len(self._arrivals) < 2:
            return 0.0
        return (len(self._arrivals) - 1) / max(self._arrivals[-1] - self._arrivals[0], 1e-9)

    def __enter__(self) -> StreamLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
