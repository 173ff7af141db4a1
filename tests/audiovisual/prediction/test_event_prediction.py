from __future__ import annotations

import math
from typing import Any

import pytest

from interlace.audiovisual.prediction.event_prediction import BACKGROUND as O
from interlace.audiovisual.prediction.event_prediction import (
    MATCH,
    EventPrediction,
    EventQuery,
    EventSpan,
    query_region,
)
from interlace.audiovisual.timelines.event_list import relevant_segments


def prediction_of(*labels: str, duration: float = 0.0, **others: Any) -> EventPrediction:
    return EventPrediction("a.mp4", labels, duration or float(len(labels)), **others)


@pytest.mark.parametrize(
    ("labels", "duration", "expected"),
    [
        ([O, O], 2.0, []),
        (["x", O, "x"], 3.0, [("x", 0, 1), ("x", 2, 3)]),
        (["x", "x", "y"], 3.0, [("x", 0, 2), ("y", 2, 3)]),
        ([O, "x"], 1.6, [("x", 1, 1.6)]),  # the last second is a part of one
        ([O, "x"], 2.4, [("x", 1, 2)]),  # what is left behind the last second has no label
        (["x"], 0.2, [("x", 0, 0.2)]),
    ],
)
def test_spans(
    labels: list[str], duration: float, expected: list[tuple[str, int | float, int | float]]
) -> None:
    assert prediction_of(*labels, duration=duration).spans == tuple(
        EventSpan(label, float(start), float(end)) for label, start, end in expected
    )


def test_the_event_has_the_most_seconds_and_of_equals_the_higher_score() -> None:
    scores = (("y", 0.7), ("x", 0.3))
    assert prediction_of("x", "x", "y", O, O, O, O, scores=scores).event == "x"
    assert prediction_of("x", "y", scores=scores).event == "y"
    assert prediction_of(O, O, scores=scores).event is None


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (prediction_of(O, O), "background only"),
        (prediction_of(O, "x", "x", scores=(("x", 0.975), ("y", 0.025))), "x (97.5%) from 1 to 3 s"),
        (prediction_of(O, "x", scores=(("x", 1.0),)), "x from 1 to 2 s"),  # 1 event is always 100 %
        (
            prediction_of("x", O, "x", O, "x", O, "x", O, "x"),
            "x from 0 to 1 s and from 2 to 3 s and from 4 to 5 s and 2 times more",
        ),
        (prediction_of("x", O, "y", "z", "x"), "x from 0 to 1 s; y from 2 to 3 s; z from 3 to 4 s; 1 more"),
        (
            prediction_of(O, MATCH, MATCH, O, query=EventQuery("visual", 0.5, 2.5)),
            "what is seen from 0.5 to 2.5 s is heard from 1 to 3 s",
        ),
    ],
)
def test_the_answer_in_words(prediction: EventPrediction, answer: str) -> None:
    assert prediction.answer == answer
    assert str(prediction) == f"a.mp4: {answer}"


@pytest.mark.parametrize("name", ["relevance", "heard", "seen", "fit"])
def test_numbers_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"a\.mp4: the network gives numbers that are not finite"):
        prediction_of(O, O, **{name: (0.1, math.nan)})
    with pytest.raises(ValueError, match=f"3 values of {name} for 2 seconds"):
        prediction_of(O, O, **{name: (0.1, 0.2, 0.3)})


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, 2.0), (2.0, 2.0), (3.0, 2.0), (0.0, math.inf), (math.nan, 1.0)]
)
def test_a_query_is_a_stretch(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="are no stretch of a video"):
        EventQuery("audio", start, end)


def test_a_query_asks_for_the_other_modality() -> None:
    assert EventQuery("audio", 0.0, 1.0).asked == "visual"
    assert EventQuery("visual", 0.0, 1.0).asked == "audio"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, 1.0, [0]),
        (1.0, 3.0, [1, 2]),
        (0.5, 1.5, [0, 1]),  # half of a second is enough
        (0.51, 1.49, []),
        (2.5, 99.0, [2, 3]),
        (3.5, 4.0, [3]),
    ],
)
def test_the_seconds_of_a_query(start: float, end: float, expected: list[int]) -> None:
    query = EventQuery("audio", start, end)
    if not expected:
        with pytest.raises(
            ValueError, match=r"a\.mp4: the query from 0\.51 to 1\.49 s covers half of no second"
        ):
            query_region(query, 4, 4.0, "a.mp4")
        return
    assert [k for k, is_in in enumerate(query_region(query, 4, 4.0, "a.mp4")) if is_in] == expected


def test_queries_that_leave_nothing_to_find() -> None:
    with pytest.raises(ValueError, match=r"a\.mp4: the query covers the whole video \(4 s\)"):
        query_region(EventQuery("audio", 0.0, 4.0), 4, 4.0, "a.mp4")
    with pytest.raises(ValueError, match=r"a\.mp4: the query starts at 4 s, but the video ends at 3\.7 s"):
        query_region(EventQuery("audio", 4.0, 5.0), 4, 3.7, "a.mp4")


@pytest.mark.parametrize(("end", "is_in"), [(3.4, True), (3.3, False)])
def test_a_query_takes_the_segments_that_a_listed_event_takes(end: float, is_in: bool) -> None:
    """The last second lasts 0.7 s, and half of that is enough."""
    region = query_region(EventQuery("audio", 2.0, end), 4, 3.7, "a.mp4")
    assert region == (False, False, True, is_in)
    assert list(region) == relevant_segments([(2.0, end)], 4, 3.7).tolist()
