from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interlace.streaming.events import Event, EventFinder, Thresholds

QUICK = Thresholds(min_seconds=0.0)


def events(finder: EventFinder, rows: list[tuple[float, ...]]) -> list[tuple[str, float, float | None]]:
    """All that is told of answers a second apart, (label, start, end), with what is left at the end."""
    told = [event for i, row in enumerate(rows) for event in finder(torch.tensor(row), float(i))]
    return [(event.label, event.start_seconds, event.end_seconds) for event in told + finder.finish()]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1, 0.4, 0.49], []),
        ([0.1, 0.5, 0.4, 0.3, 0.29], [("a", 1, None), ("a", 1, 4)]),  # on, held above off, over
        ([0.6, 0.2, 0.4, 0.6, 0.6], [("a", 0, None), ("a", 0, 1), ("a", 3, None), ("a", 3, 4)]),
        ([0.9, 0.9], [("a", 0, None), ("a", 0, 1)]),  # goes on at the end
        ([], []),
    ],
)
def test_one_threshold_to_begin_and_a_lower_one_to_end(
    scores: list[float], expected: list[tuple[str, float, float | None]]
) -> None:
    assert events(EventFinder(["a", "b"], QUICK), [(score, 0.0) for score in scores]) == expected


def test_a_label_that_is_higher_by_the_margin_takes_over() -> None:
    rows = [(0.9, 0.0, 0.1), (0.42, 0.5, 0.0), (0.35, 0.55, 0.0), (0.4, 0.6, 0.0)]
    assert events(EventFinder(["a", "b", "c"], QUICK), rows) == [
        ("a", 0, None),
        ("a", 0, 2),
        ("b", 2, None),
        ("b", 2, 3),
    ]
    wide = Thresholds(min_seconds=0.0, margin=0.5)
    assert events(EventFinder(["a", "b", "c"], wide), rows) == [("a", 0, None), ("a", 0, 3)]


def test_what_is_short_is_no_event() -> None:
    finder = EventFinder(["a", "b"], Thresholds(min_seconds=2.0))
    rows = [(0.9, 0.0), (0.1, 0.0), (0.9, 0.0), (0.8, 0.0), (0.7, 0.0), (0.0, 0.0), (0.9, 0.0)]
    # The second one is told when it has lasted two seconds; the last one never did.
    assert finder(torch.tensor(rows[0]), 0.0) == []
    assert finder.running == ()
    assert events(EventFinder(["a", "b"], Thresholds(min_seconds=2.0)), rows) == [("a", 2, None), ("a", 2, 5)]


def test_mean_and_peak_are_of_the_event() -> None:
    finder = EventFinder(["a"], QUICK)
    for second, score in enumerate((0.2, 0.5, 1.0, 0.6)):
        finder(torch.tensor([score], dtype=torch.float64), float(second))
    (running,) = finder.running
    assert (running.score, running.peak, running.end_seconds) == (pytest.approx(0.7), 1.0, None)
    (ended,) = finder(torch.tensor([0.0]), 4.0)
    assert ended == Event("a", 1.0, 4.0, running.score, 1.0)
    assert finder.running == ()


def test_several_labels_at_once() -> None:
    rows = [(0.9, 0.6), (0.4, 0.99), (0.2, 0.9), (0.6, 0.1)]
    found = events(EventFinder(["a", "b"], QUICK, multi_label=True), rows)
    assert found == [
        *(("a", 0, None), ("b", 0, None), ("a", 0, 2)),
        *(("b", 0, 3), ("a", 3, None), ("a", 3, 3)),
    ]


def test_ignored_labels_are_no_events_and_end_others() -> None:
    rows = [(0.0, 0.9), (0.9, 0.1), (0.2, 0.8), (0.45, 0.35), (0.55, 0.35)]
    finder = EventFinder(["nothing", "b"], QUICK, ignore=("nothing",))
    assert events(finder, rows) == [("b", 0, None), ("b", 0, 1), ("b", 2, None), ("b", 2, 4)]
    with pytest.raises(ValueError, match="'none', which is no label of the network; it has 'a', 'b'"):
        EventFinder(["a", "b"], ignore=("none",))


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), max_size=30), st.booleans(), st.floats(0, 5))
def test_every_event_that_begins_ends_once_and_they_do_not_overlap(
    rows: list[tuple[float, ...]], multi_label: bool, min_seconds: float
) -> None:
    finder = EventFinder(["a", "b", "c"], Thresholds(min_seconds=min_seconds), multi_label)
    told = events(finder, rows)
    begun = [(label, start) for label, start, end in told if end is None]
    ended = [(label, start, end) for label, start, end in told if end is not None]
    assert {(label, start) for label, start, _ in ended} == set(begun)
    assert len(ended) == len(begun)
    assert all(end - start >= min_seconds - 1e-6 for _, start, end in ended)
    for name in "abc" if multi_label else [None]:
        own = sorted((start, end) for label, start, end in ended if name in (None, label))
        assert all(end <= start for (_, end), (start, _) in pairwise(own))


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"begin_score": 1.5}, "begin_score=1.5 and end_score=0.3"),
        ({"begin_score": 0.2}, "begin_score=0.2 and end_score=0.3"),
        ({"end_score": 0.0}, "end_score=0: an event"),
        ({"begin_score": float("nan")}, "begin_score=nan"),
        ({"margin": -0.1}, "margin=-0.1"),
        ({"min_seconds": -1.0}, "min_seconds=-1"),
        ({"min_seconds": float("inf")}, "min_seconds=inf"),
    ],
)
def test_thresholds_that_mean_nothing(given_values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Thresholds(**given_values)
