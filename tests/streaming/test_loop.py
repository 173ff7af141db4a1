from __future__ import annotations

from collections.abc import Callable
from threading import Event as Flag

import pytest
import torch
from torch import Tensor

from interlace.inference import Recognizer
from interlace.streaming.answers import Answers
from interlace.streaming.events import EventFinder, Thresholds
from interlace.streaming.loop import StreamLoop, Update
from interlace.streaming.smoothing import Exponential, MeanOfLast
from interlace.streaming.steps import FrameSteps, frame_steps
from interlace.streaming.summary import Summary, percentiles


def follow(
    source: object, recognizer: Recognizer, min_seconds: float = 0.0
) -> tuple[list[Update], Update, Summary]:
    steps = frame_steps(recognizer)
    finder = EventFinder(recognizer.card.labels, Thresholds(min_seconds=min_seconds))
    loop = StreamLoop(source, steps, smoothing=Exponential(0.0), events=finder, top_k=2)  # type: ignore[arg-type]
    with loop:
        updates = list(loop.updates())
        return updates, loop.finish(), loop.summary()


def test_frames_become_answers_and_answers_events(
    windowed: Callable[..., Recognizer], playing: Callable, make_frame: Callable
) -> None:
    levels = [30] * 30 + [200] * 30
    frames = [make_frame(level, i / 10, i, dropped_before=i % 2) for i, level in enumerate(levels)]
    updates, last, summary = follow(playing(frames), windowed())
    assert [update.frame for update in updates] == frames
    assert updates[14].top == ()
    assert [round(update.time_seconds, 3) for update in updates if update.answer] == [
        *(1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5)
    ]
    assert [label for label, _ in updates[20].top] == ["dark", "medium"]
    told = [(event.label, event.start_seconds, event.end_seconds) for u in updates for event in u.events]
    assert [event[0] for event in told] == ["dark", "dark", "medium", "medium", "bright"]
    assert told[0] == ("dark", 1.5, None)
    assert [update.running[0].label for update in (updates[16], updates[41], updates[58])] == [
        "dark",
        "medium",
        "bright",
    ]
    assert (last.frame, last.answer, last.running) == (None, None, ())
    assert [(event.label, event.end_seconds) for event in last.events] == [("bright", 5.5)]
    assert (summary.num_frames, summary.num_answers, summary.num_events) == (60, 9, 3)
    assert (summary.decoded, summary.dropped, summary.stream_seconds) == (90, 30, 5.9)
    assert summary.best == ("bright", updates[-1].top[0][1], 5.0)
    assert set(summary.latency_ms) == {"p50", "p95", "p99"}


def test_a_source_that_was_away_is_a_new_stream(
    summing: Recognizer, playing: Callable, make_frame: Callable
) -> None:
    before = [make_frame(255, i / 2) for i in range(4)]
    after = [make_frame(255, 10 + i / 2, after_gap=i == 0) for i in range(4)]
    updates, last, summary = follow(playing([*before, None, *after]), summing)
    scores = [update.top[0][1] for update in updates]
    assert scores[:4] == scores[5:]  # of the sum that begins anew
    assert len({*scores[:4]}) == 4
    assert [update.gap for update in updates] == [False] * 5 + [True] + [False] * 3
    assert [update.away for update in updates] == [None] * 4 + ["it sleeps"] + [None] * 4
    (ended,) = updates[4].events
    assert (ended.label, ended.start_seconds, ended.end_seconds) == ("bright", 0.0, 1.5)
    (begun,) = updates[5].events
    assert (begun.start_seconds, begun.end_seconds) == (10.0, None)
    assert [event.end_seconds for event in last.events] == [11.5]
    assert (summary.reconnects, summary.num_events, summary.num_frames) == (1, 2, 8)


def test_a_gap_that_nobody_waited_for_ends_events_too(
    summing: Recognizer, playing: Callable, make_frame: Callable
) -> None:
    frames = [make_frame(255, i / 2, after_gap=i == 3) for i in range(5)]
    updates, _, _ = follow(playing(frames), summing)
    told = [(event.start_seconds, event.end_seconds) for event in updates[3].events]
    assert told == [(0.0, 1.0), (1.5, None)]


def test_smoothing_begins_anew_too(summing: Recognizer, playing: Callable, make_frame: Callable) -> None:
    frames = [make_frame(level, i / 2, after_gap=i == 3) for i, level in enumerate((255, 255, 255, 0))]
    finder = EventFinder(summing.card.labels)
    with StreamLoop(
        playing(frames), frame_steps(summing), smoothing=MeanOfLast(9), events=finder, top_k=3
    ) as loop:
        tops = [dict(update.top) for update in loop.updates()]
    assert tops[3] == pytest.approx(dict.fromkeys(("dark", "medium", "bright"), 1 / 3))


def test_a_short_stream_is_answered_when_it_is_over(
    windowed: Callable[..., Recognizer], playing: Callable, make_frame: Callable
) -> None:
    updates, last, summary = follow(playing([make_frame(200, i / 10) for i in range(5)]), windowed())
    assert [update.top for update in updates] == [()] * 5
    assert last.top[0][0] == "bright"
    assert last.answer is not None
    assert last.answer.time_seconds == 0.4
    assert [(event.label, event.end_seconds) for event in last.events] == [("bright", None), ("bright", 0.4)]
    assert summary.num_answers == 1
    updates, last, summary = follow(playing([]), windowed())
    assert (updates, last.top, summary.num_frames, summary.latency_ms) == ([], (), 0, {})
    assert (
        str(summary)
        == "0.0 s, 0 frames decoded, 0 looked at (0.0 a second), 0 dropped, 0 predictions, 0 events"
    )


class Slow(FrameSteps):
    """Answers with the number of what it sees, when it may."""

    is_repeatable = True
    smooth_seconds = 0.0
    about = "numbers"

    def __init__(self) -> None:
        self.may_answer, self.asked = Flag(), []

    def take(self, pixels: Tensor, time_seconds: float) -> Tensor:
        return pixels

    def answer(self, seen: Tensor) -> Tensor:
        self.asked.append(int(seen))
        assert self.may_answer.wait(30)
        return torch.tensor([float(seen)], dtype=torch.float64)

    def last(self) -> None:
        return None


def test_beside_the_stream_one_answer_is_in_the_making_and_the_rest_is_left_out() -> None:
    steps = Slow()
    numbers = torch.arange(4, dtype=torch.uint8)
    with Answers(steps, beside=True) as answers:
        for number in numbers:
            answers.ask(number, float(number), 0.0)
            assert answers.collect() is None
        steps.may_answer.set()
        answer = answers.collect(wait=True)
        assert answer is not None
        assert (answer.probabilities.item(), answer.time_seconds) == (0.0, 0.0)
        assert answers.collect() is None
        answers.ask(numbers[3], 3.0, 0.0)
        answer = answers.collect(wait=True)
        assert answer is not None
        assert answer.time_seconds == 3.0
    assert steps.asked == [0, 3]


def test_what_goes_wrong_beside_the_stream_is_raised() -> None:
    class Broken(Slow):
        def answer(self, seen: Tensor) -> Tensor:
            raise ValueError("not finite")

    with Answers(Broken(), beside=True) as answers:
        answers.ask(torch.zeros(1, dtype=torch.uint8), 0.0, 0.0)
        with pytest.raises(ValueError, match="not finite"):
            answers.collect(wait=True)


def test_beside_and_in_line_say_the_same(
    windowed: Callable[..., Recognizer], playing: Callable, make_frame: Callable
) -> None:
    frames = [make_frame(30, i / 10) for i in range(40)]
    tops = []
    for beside in (False, True):
        recognizer = windowed()
        finder = EventFinder(recognizer.card.labels)
        with StreamLoop(
            playing(frames),
            frame_steps(recognizer),
            smoothing=Exponential(0.0),
            events=finder,
            beside=beside,
        ) as loop:
            assert len(list(loop.updates())) == 40
            tops.append(loop.finish().top)
    assert dict(tops[0]) == pytest.approx(dict(tops[1]))


def test_percentiles() -> None:
    assert percentiles([i / 1000 for i in range(101)]) == pytest.approx({"p50": 50, "p95": 95, "p99": 99})


def test_summary_in_words() -> None:
    summary = Summary(2.0, 65.0, 4, 1, 0, 2, 1, 1, {"p50": 1.0, "p95": 2.0, "p99": 3.0}, None)
    assert str(summary) == (
        "65.0 s, 4 frames decoded, 1 looked at (0.5 a second), 0 dropped, came back 2 times, "
        "1 prediction (latency 1 ms, p95 2, p99 3), 1 event"
    )
