from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from interlace.audiovisual import TimelineSet
from interlace.audiovisual.tasks.loaded import fingerprints, in_both, loaded
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess


@pytest.fixture
def read_once(made_set):
    """A set that reads its timelines when they are asked for, and which it has read."""
    timelines, read = made_set(5, 0), []

    def get(number: int):
        read.append(number)
        return timelines[number]

    return TimelineSet(timelines.labels, ReadOnAccess(5, get), "lazy"), read


def test_what_fits_is_read_once(read_once):
    timelines, read = read_once
    inside = loaded(timelines)
    read.clear()
    assert [timeline.name for timeline in inside] == [f"0-{number}.mp4" for number in range(5)]
    assert (read, inside.labels, inside.source) == ([], timelines.labels, "lazy")


def test_what_does_not_fit_stays_where_it_is(read_once):
    timelines, _ = read_once
    assert loaded(timelines, memory_bytes=0) is timelines


def test_the_fingerprint_is_of_all_that_decides_a_number(made_set, read_once):
    timelines = made_set(5, 0)
    known = fingerprints(timelines).whole
    assert fingerprints(made_set(5, 0)).whole == known
    assert fingerprints(read_once[0]).whole == known  # wherever it comes from

    first = timelines[4]
    others = [
        replace(first, audio=first.audio + 1),
        replace(first, visual=first.visual.double()),
        replace(first, event=(first.event + 1) % 3),
        replace(first, relevant=torch.ones_like(first.relevant)),
        replace(first, name="other"),
    ]
    changed = [TimelineSet(timelines.labels, (*timelines[:4], other)) for other in others]
    changed.append(TimelineSet(("moo", *timelines.labels[1:]), timelines.timelines))
    assert len({known, *(fingerprints(each).whole for each in changed)}) == 7

    of_each = [fingerprints(each).each for each in (timelines, *changed)]
    assert [in_both(of_each[0], each) for each in of_each] == [
        5,
        4,
        4,
        4,
        4,
        5,
        5,
    ]  # names and labels do not count
