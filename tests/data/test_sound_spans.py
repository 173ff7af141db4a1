from __future__ import annotations

import pytest

from interlace.data.sound_spans import Span, covered, gap_notes, joined


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(5, 9)], [(5, 9)]),
        ([(0, 4), (4, 9)], [(0, 9)]),
        ([(0, 4), (6, 9)], [(0, 9)]),
        ([(0, 4), (7, 9)], [(0, 4), (7, 9)]),
        ([(7, 9), (0, 4)], [(0, 4), (7, 9)]),
        ([(0, 20), (3, 9), (30, 31)], [(0, 20), (30, 31)]),
    ],
)
def test_what_joins_is_one_span(spans: list[Span], expected: list[Span]) -> None:
    assert joined(spans) == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], [0, 0, 0]),
        ([(0, 30)], [10, 10, 10]),
        ([(4, 6)], [2, 0, 0]),
        ([(4, 26)], [6, 10, 6]),
        ([(0, 3), (8, 12), (29, 30)], [5, 2, 1]),
    ],
)
def test_samples_of_each_second_are_counted(spans: list[Span], expected: list[int]) -> None:
    assert covered(spans, num_seconds=3, rate=10).tolist() == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 300)], []),
        ([(9, 291)], []),
        ([(10, 300)], ["the sound begins at 0.10 s: zeros before"]),
        ([(0, 290)], ["the sound ends at 2.90 s: zeros from there"]),
        ([(0, 97), (98, 300)], []),  # 10 ms: less than a packet
        ([(0, 97), (100, 300)], ["a gap of 0.03 s in the sound (at 0.97 s): zeros there"]),
        (
            [(0, 10), (20, 30), (40, 50), (60, 70), (90, 300)],
            ["4 gaps of 0.50 s in the sound (at 0.10 s, 0.30 s, 0.50 s, ...): zeros there"],
        ),
        ([], ["its sound track holds no sound for these seconds: zeros"]),
    ],
)
def test_what_is_missing_is_said(spans: list[Span], expected: list[str]) -> None:
    assert gap_notes(spans, rate=100, num_seconds=3.0) == expected
