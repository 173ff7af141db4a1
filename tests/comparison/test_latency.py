"""Rounds, estimates, and what is measured; no assertion on a time itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from interlace.comparison import Setting, Stopwatch, counted, entries, timed
from interlace.comparison.latency import MIN_ROUNDS, SECONDS
from interlace.comparison.rows import duration

SMALL = Setting(num_classes=5, image_size=32, batch_size=2, device=torch.device("cpu"), rounds=2)


@pytest.fixture(scope="module")
def watch() -> Stopwatch:
    return Stopwatch(SMALL)


def test_a_measurement_is_of_clips_not_of_batches(watch: Stopwatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that says 8 ms for every network, a batch of 2 is 4 ms a clip."""

    def eight(run: Callable[[], Any]) -> float:
        run()
        return 8.0

    monkeypatch.setattr(watch, "clock", eight)
    found = watch.measure("two_stream_tsn_resnet18", 2)
    assert (found.ms_per_clip, found.clips_per_second, found.spread) == (4.0, 250.0, 0.0)
    assert (found.ratio, found.rounds) == (1.0, 2)


@pytest.mark.parametrize(
    ("asked", "milliseconds", "rounds"),
    [(9, 1.0, 9), (1, 1e6, 1), (9, 1e6, MIN_ROUNDS), (100, 1000 * SECONDS / 5 - 10, 5)],
)
def test_slow_networks_are_measured_fewer_times(
    watch: Stopwatch, monkeypatch: pytest.MonkeyPatch, asked: int, milliseconds: float, rounds: int
) -> None:
    monkeypatch.setattr(watch, "setting", Setting(5, 32, 1, torch.device("cpu"), rounds=asked))
    monkeypatch.setattr(watch, "reference_ms", 10.0)
    assert watch.rounds(milliseconds) == rounds


def test_the_estimate_grows_with_the_arithmetic(watch: Stopwatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "reference_ms", 10.0)
    monkeypatch.setattr(watch, "ms_per_gmac", 5.0)
    # A first and a second call, then 2 rounds of it and of the reference.
    assert watch.estimate_seconds(4.0) == pytest.approx((2 * 20 + 2 * (20 + 10)) / 1000)


def test_rows_keep_their_counts_and_get_a_time() -> None:
    told: list[str] = []
    rows = list(counted(entries(["tsm_resnet18", "eco_lite_resnet18"]), SMALL, told.append))
    measured = list(timed(rows, SMALL, told.append))
    assert [row.entry.name for row in measured] == ["tsm_resnet18", "eco_lite_resnet18"]
    assert [row.costs for row in measured] == [row.costs for row in rows]
    assert all(row.latency is not None and row.latency.rounds == 2 for row in measured)
    assert told[1] == "counting eco_lite_resnet18 (2 of 2)"
    assert told[-1].startswith("measuring eco_lite_resnet18, 16 frames (2 of 2), about ")


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 99.0, 101.0, 3600.0)] == ["0 s", "99 s", "2 min", "60 min"]
