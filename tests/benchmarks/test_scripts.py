"""The benchmarks in small: what they measure is right, however long it takes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

import forms
import memory
import network
import op
import scaling
import timing


def test_the_operators_are_the_same_function() -> None:
    x = torch.randn(2, 8, 16, 5, 7)
    offset = torch.tensor(op.OFFSET).expand(2, -1).contiguous()
    weight = torch.rand(2, 8, 4)
    ways = op.alternatives(x.nbytes)
    ours = ways["interlace"].run(x, offset, weight)
    for name in ("published interlace", "plain definition"):
        torch.testing.assert_close(ways[name].run(x, offset, weight), ours)
    moved = ways["interlace, moved channels only"].run(x[:, :, :4], offset, weight)
    torch.testing.assert_close(moved, ours[:, :, :4])
    torch.testing.assert_close(ways["temporal_shift"].run(x), ways["published shift"].run(x))
    assert ways["clone"].needed == 2 * x.nbytes


def test_the_forms_are_the_same_function() -> None:
    x, offset, weight = torch.randn(1, 8, 16, 5, 7), torch.tensor(op.OFFSET), torch.rand(1, 8, 4)
    wanted = op.alternatives(x.nbytes)["published interlace"].run(x, offset, weight)
    for name, form in forms.forms().items():
        if not name.startswith("compiled graph"):  # needs a compiler, and its time
            torch.testing.assert_close(form(x, offset, weight, 4), wanted)


@pytest.mark.parametrize("and_forward", [False, True])
def test_backward_calls_give_all_gradients(and_forward: bool) -> None:
    x, offset, weight = torch.randn(1, 8, 16, 5, 7), torch.tensor(op.OFFSET), torch.rand(1, 8, 4)
    calls = op.backward_calls(x, offset, weight, and_forward=and_forward)
    assert next(iter(calls)) == ("two clones" if and_forward else "clone")
    for name in ("interlace", "published interlace", "plain definition"):
        given = calls[name]()
        assert [grad.shape for grad in given] == [x.shape, offset.shape, weight.shape]
    assert calls["temporal_shift"]()[1] is None
    calls["interlace"]()  # a second time: the graph is still there


def test_bandwidth() -> None:
    rows = op.with_bandwidth({"clone": {"median_ms": 2.0}}, {"clone": 2**21}, copy_gb_per_s=2.0)
    assert rows["clone"]["mib"] == 2
    assert rows["clone"]["gb_per_s"] == 1.05
    assert rows["clone"]["of_copy"] == 0.524


def test_ceilings_are_positive_numbers_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "compare", lambda ways, **_: {name: {"min_ms": 2.0} for name in ways})
    found = timing.ceilings()
    assert found["copy_gb_per_s"] == 268.44  # 512 MiB in 2 ms
    assert found["matmul_float32_gflop_per_s"] == 8589.9


def options(*arguments: str) -> argparse.Namespace:
    names = ("backbones", "frames", "batch", "modes", "dtypes", "steps")
    return argparse.Namespace(all="--all" in arguments, device="cpu", rounds=1, **dict.fromkeys(names))


def test_cases() -> None:
    assert network.chosen_cases(options()) == list(network.TARGETS)
    everything = network.chosen_cases(options("--all"))
    assert len(everything) == len(set(everything)) == 3 * 2 * 2 * 2 * (3 + 2)
    assert not [case for case in everything if case.mode == "optimised" and case.step == "training step"]
    assert set(network.TARGETS) <= set(everything)
    some = options()
    some.frames, some.modes = [4, 6], ["eager"]
    assert [(case.frames, case.step) for case in network.chosen_cases(some)] == [
        (4, "inference"),
        (4, "training step"),
        (6, "inference"),
        (6, "training step"),
    ]


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("step", ["inference", "training step"])
def test_networks_of_a_case(mode: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "SIZE", 32)
    case = network.Case("test_resnet", 4, 2, mode, "bfloat16", step)
    calls = network.alternatives(case, "cpu")
    assert list(calls) == ["tsn", "tsm", "tin", "published tsm", "published tin"]
    outputs = {name: call() for name, call in calls.items()}
    if step == "inference":
        assert outputs["tin"].shape == (2, 174)
        torch.testing.assert_close(outputs["tin"], outputs["published tin"], rtol=0, atol=2e-3)


def test_a_channels_last_clip_has_channels_last_frames() -> None:
    clip = torch.randn(2, 4, 3, 5, 7)
    other = network.in_layout(clip, "channels_last")
    assert torch.equal(other, clip)
    assert other.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_saved_bytes_are_those_of_the_inputs() -> None:
    x = torch.randn(10, 6)
    linear = nn.Linear(6, 4)  # keeps its input (240 bytes), and the sine its own (160)
    assert memory.saved_bytes(lambda: linear(x).sin()) == 400


def test_memory_of_a_step() -> None:
    found = memory.measure("tsn", "training step", "test_resnet", 4, 2, 32, "cpu")
    assert set(found) == {"resident_mib", "held_mib", "peak_mib", "saved_mib"}
    assert found["peak_mib"] > found["held_mib"] + found["saved_mib"]
    inference = memory.measure("published tin", "inference", "test_resnet", 4, 2, 32, "cpu")
    assert set(inference) == {"resident_mib", "held_mib", "peak_mib"}
    assert inference["peak_mib"] < found["peak_mib"]


def test_exponent() -> None:
    assert scaling.exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)
    assert scaling.exponent([2, 4, 8], [5.0, 5.0, 5.0]) == pytest.approx(0)


def test_growth_and_chart(tmp_path: Path) -> None:
    def rows(ms: float) -> dict[str, dict[str, float]]:
        row = {"median_ms": ms, "min_ms": ms * 0.9, "max_ms": ms * 1.2, "ratio": 1.0}
        return dict.fromkeys(scaling.METHODS, row)

    measured = {100: rows(1.0), 200: rows(4.0)}
    assert scaling.exponents("size", measured)["tin"]["exponent"] == 1.0  # over pixels
    assert scaling.exponents("frames", measured)["tin"] == {
        "exponent": 2.0,
        "ratio at 100": 1.0,
        "ratio at 200": 1.0,
    }
    scaling.draw({"size": measured, "batch": measured}, "title", tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
