from __future__ import annotations

import pytest
import torch

from interlace.ops import _choice


@pytest.fixture
def clock(monkeypatch):
    """A device on which each way takes as long as it says; no GPU is needed."""
    monkeypatch.setattr(_choice, "_found", {})
    monkeypatch.setattr(_choice, "_milliseconds", lambda way: way.milliseconds)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


class Way:
    def __init__(self, result: float, milliseconds: float) -> None:
        self.result, self.milliseconds, self.calls = result, milliseconds, 0

    def __call__(self) -> torch.Tensor:
        self.calls += 1
        return torch.tensor(self.result)


@pytest.mark.parametrize(("times", "wanted"), [((1.0, 2.0), 10.0), ((2.0, 1.0), 20.0)])
def test_the_faster_way_is_taken(clock, times, wanted):
    ways = Way(10.0, times[0]), Way(20.0, times[1])
    assert _choice.faster("key", ways).item() == wanted


def test_it_is_measured_once(clock):
    ways = Way(10.0, 1.0), Way(20.0, 2.0)
    for _ in range(3):
        _choice.faster("key", ways)
    assert (ways[0].calls, ways[1].calls) == (4, 1)  # each once to warm up, then the faster one


def test_other_sizes_are_measured_anew(clock):
    assert _choice.faster("small", (Way(10.0, 1.0), Way(20.0, 2.0))).item() == 10
    assert _choice.faster("large", (Way(10.0, 2.0), Way(20.0, 1.0))).item() == 20


def test_nothing_is_measured_while_a_graph_is_captured(clock, monkeypatch):
    ways = Way(10.0, 1.0), Way(20.0, 2.0)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert _choice.faster("key", ways).item() == 20
    assert ways[0].calls == 0
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    assert _choice.faster("key", ways).item() == 10
