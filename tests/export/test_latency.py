from __future__ import annotations

import pytest

from interlace.export.latency import measure_latency


def test_networks_are_called_in_turn_and_each_once_before() -> None:
    calls: list[str] = []
    networks = {name: (lambda name=name: calls.append(name)) for name in ("eager", "exported")}
    said: list[str] = []
    times = measure_latency(networks, rounds=2, progress=said.append)
    assert calls == ["eager", "eager", "exported", "exported"] * 4  # two rounds of warming up
    assert list(times) == ["eager", "exported"]
    assert times["eager"]["ratio"] == 1.0
    assert said[-1] == "timing in turn (round 4 of 4)"


def test_eager_has_to_be_there() -> None:
    with pytest.raises(ValueError, match="eager"):
        measure_latency({"exported": lambda: None}, rounds=1)
