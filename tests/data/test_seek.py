from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.data.seek import plan

KEYS = [0, 8, 16, 24]


@pytest.mark.parametrize(
    ("wanted", "current", "steps"),
    [
        ([], -1, []),
        ([0], -1, [(None, 0)]),
        ([2, 5, 7], -1, [(None, 7)]),
        ([2, 8], 1, [(None, 2), (8, 8)]),
        ([7, 8], 1, [(None, 8)]),  # the key frame is the next frame anyway
        ([2, 5, 21], -1, [(None, 5), (16, 21)]),
        ([9, 25, 30], 9, [(8, 9), (24, 30)]),  # the frame decoded last is gone
        ([3], 21, [(0, 3)]),
        ([22], 21, [(None, 22)]),
        ([40], 3, [(24, 40)]),
    ],
)
def test_plan_is_the_cheapest_way(
    wanted: list[int], current: int, steps: list[tuple[int | None, int]]
) -> None:
    assert plan(wanted, KEYS, current) == steps


def test_without_key_frames_it_starts_from_the_front() -> None:
    assert plan([3], [], 9) == [(0, 3)]


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(1, 60)), st.integers(-1, 60))
def test_every_wanted_frame_is_met_and_never_more_is_decoded_than_forward(
    wanted: set[int], keys: set[int], current: int
) -> None:
    met: set[int] = set()
    decoded, position = 0, current
    for seek_to, last in plan(sorted(wanted), [0, *sorted(keys)], current):
        position = position if seek_to is None else seek_to - 1
        decoded += last - position
        met |= set(range(position + 1, last + 1))
        position = last
    assert wanted <= met
    if wanted:
        forward = max(wanted) - current if min(wanted) > current else max(wanted) + 1
        assert decoded <= max(forward, sum(1 for _ in wanted) * 61)
        if min(wanted) > current:
            assert decoded <= forward
