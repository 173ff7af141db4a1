from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interlace.streaming.smoothing import Exponential, MeanOfLast


@given(st.integers(1, 8))
def test_the_past_fades_with_time_not_with_the_number_of_answers(count: int) -> None:
    smooth = Exponential(2.0)
    smooth(torch.tensor([1.0, 0.0], dtype=torch.float64), 0.0)
    for i in range(count):
        found = smooth(torch.tensor([0.0, 1.0], dtype=torch.float64), 3.0 * (i + 1) / count)
    assert found.tolist() == pytest.approx([math.exp(-1.5), 1 - math.exp(-1.5)])


def test_no_smoothing_and_a_reset() -> None:
    off = Exponential(0.0)
    for value in (0.25, 1.0):
        assert off(torch.tensor([value]), 0.0).item() == value
    smooth = Exponential(5.0)
    smooth(torch.tensor([1.0]), 0.0)
    assert smooth(torch.tensor([0.0]), 1.0).item() > 0.8
    smooth.reset()
    assert smooth(torch.tensor([0.0]), 2.0).item() == 0.0


def test_the_mean_of_the_last() -> None:
    smooth = MeanOfLast(3)
    rows = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    found = [smooth(torch.tensor(row), 0.0).tolist() for row in rows]
    assert found == [pytest.approx(row) for row in ([1, 0], [0.75, 0.25], [0.5, 0.5], [1 / 6, 5 / 6])]
    smooth.reset()
    assert smooth(torch.tensor([0.25, 0.75]), 0.0).tolist() == [0.25, 0.75]


def test_in_words() -> None:
    assert (str(Exponential(0.2667)), str(MeanOfLast(4))) == ("over 0.267 s", "mean of the last 4")


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_time_that_is_none(seconds: float) -> None:
    with pytest.raises(ValueError, match="smooth_seconds="):
        Exponential(seconds)


def test_a_count_that_is_none() -> None:
    with pytest.raises(ValueError, match="smooth_last=0"):
        MeanOfLast(0)
