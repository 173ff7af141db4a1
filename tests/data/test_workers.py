from __future__ import annotations

import os

import pytest

from interlace.data import workers
from interlace.data.workers import count_workers, usable_cores


@pytest.mark.parametrize(
    ("cores", "processes", "device", "expected"),
    [
        (1, 1, "cpu", 0),
        (2, 1, "cpu", 2),
        (64, 1, "cpu", 2),
        (1, 1, "cuda:0", 0),
        (6, 1, "cuda:0", 5),
        (64, 1, "cuda", 8),
        (16, 4, "cuda:3", 3),
        (2, 4, "cuda:3", 0),
    ],
)
def test_auto(monkeypatch, cores: int, processes: int, device: str, expected: int) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert count_workers("auto", device) == expected
    assert count_workers(5, device) == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_cores_are_those_of_the_mask() -> None:
    mask = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mask)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, mask)
    assert usable_cores() == len(mask)
