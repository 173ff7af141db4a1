from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess


class Reader:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, index: int) -> Timeline:
        self.asked.append(index)
        if index == 3:
            raise IndexError("within the file")
        return Timeline(f"{index}", torch.zeros(2, 3), torch.zeros(2, 1, 5), index, torch.ones(2).bool())


def test_only_what_is_asked_for_is_read() -> None:
    reader = Reader()
    timelines = ReadOnAccess(7, reader)
    assert (len(timelines), reader.asked) == (7, [])
    assert (timelines[-1].name, [timeline.name for timeline in timelines[4::2]]) == ("6", ["4", "6"])
    assert reader.asked == [6, 4, 6]


def test_outside_there_is_nothing() -> None:
    for index in (7, -8):
        with pytest.raises(IndexError):
            ReadOnAccess(7, Reader())[index]
    assert ReadOnAccess(7, Reader())[9:] == ()


def test_an_error_within_the_file_does_not_end_the_iteration() -> None:
    timelines = iter(ReadOnAccess(7, Reader()))
    assert [next(timelines).name for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(IndexError, match="within the file"):
        next(timelines)


def test_a_set_of_them() -> None:
    timelines = TimelineSet(("a", "b", "c"), ReadOnAccess(3, Reader()), "a file")
    assert repr(timelines) == "TimelineSet(3 timelines, 3 events, from a file)"
    assert (len(timelines), timelines[1].event, [t.event for t in timelines]) == (3, 1, [0, 1, 2])
    assert [t.event for t in timelines[1:]] == [1, 2]


def test_a_set_refuses_labels_that_cannot_be() -> None:
    timeline = Reader()(2)
    with pytest.raises(ValueError, match="name an event twice"):
        TimelineSet(("a", "b", "a"), (timeline,))
    with pytest.raises(ValueError, match=r"^2 has event 2, but there are 2 labels; events are 0 to 1, or -1"):
        TimelineSet(("a", "b"), (timeline,))
    assert len(TimelineSet(("a", "b", "c"), [timeline])) == 1
    below = replace(timeline, event=-2)
    with pytest.raises(ValueError, match=r"^2 has event -2, but there are 3 labels"):
        TimelineSet(("a", "b", "c"), (below,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visual": torch.zeros(2, 5)}, r"picture \(2, 5\) .* expected \(N, A\), \(N, P, D\) and bool"),
        ({"audio": torch.zeros(2)}, r"sound \(2,\)"),
        ({"relevant": torch.ones(2)}, r"torch\.float32 relevant \(2,\)"),
        ({"relevant": torch.ones(3).bool()}, "2 rows of sound, 2 of picture and 3 labels"),
        ({"relevant": torch.zeros(2).bool()}, "event 2 with 0 relevant segments"),
        ({"event": NO_EVENT}, "event -1 with 2 relevant segments"),
    ],
)
def test_a_timeline_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    parts = SimpleNamespace(
        **{**vars(Reader()(2)), **changes}
    )  # the shape checks of the tests would come first
    with pytest.raises(ValueError, match=f"^2: .*{message}"):
        Timeline.__post_init__(parts)  # type: ignore[arg-type]
