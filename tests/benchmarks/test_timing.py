from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import timing
from interlace.benchmark import compare
from interlace.benchmark.timing import median_ratio


def fake_clock(*milliseconds: float) -> Callable[[Callable[[], Any]], float]:
    """Runs the function and says that it took the next of these times."""
    times = iter(milliseconds)

    def measure(run: Callable[[], Any]) -> float:
        run()
        return next(times)

    return measure


def test_alternatives_take_turns_and_warming_up_is_not_counted() -> None:
    order: list[str] = []
    rows = compare(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        rounds=3,
        warmup=1,
        measure=fake_clock(100.0, 100.0, 1.0, 2.0, 2.0, 6.0, 4.0, 4.0),
    )
    assert order == ["a", "b"] * 4
    assert rows["a"]["median_ms"] == 2.0
    assert (rows["b"]["min_ms"], rows["b"]["median_ms"], rows["b"]["max_ms"]) == (2.0, 4.0, 6.0)
    # Rounds: 2/1, 6/2, 4/4; their median is not that of the medians (4/2) by chance only.
    assert (rows["a"]["ratio"], rows["b"]["ratio"]) == (1.0, 2.0)
    assert rows["b"]["spread"] == 0.5  # quartiles 3 and 5 around 4


def test_ratios_are_taken_round_by_round() -> None:
    # A machine that becomes ten times slower half-way slows both.
    assert median_ratio([2.0, 2.0, 20.0], [1.0, 1.0, 10.0]) == 2.0


def test_a_base_by_name_and_further_ones() -> None:
    rows = compare(
        {"a": int, "b": int, "c": int},
        rounds=1,
        warmup=0,
        base="b",
        also=["c"],
        measure=fake_clock(1.0, 2.0, 4.0),
    )
    assert {name: row["ratio"] for name, row in rows.items()} == {"a": 0.5, "b": 1.0, "c": 2.0}
    assert {name: row["ratio to c"] for name, row in rows.items()} == {"a": 0.25, "b": 0.5, "c": 1.0}


def test_several_calls_in_one_measurement() -> None:
    calls: list[int] = []
    rows = compare(
        {"a": lambda: calls.append(1)}, rounds=2, warmup=0, calls=5, measure=fake_clock(10.0, 20.0)
    )
    assert len(calls) == 10
    assert (rows["a"]["min_ms"], rows["a"]["max_ms"]) == (2.0, 4.0)


@pytest.mark.parametrize("wrong", [{"base": "c"}, {"also": ["c"]}, {"rounds": 0}, {"calls": 0}])
def test_what_makes_no_comparison(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rounds=\d+ and calls=\d must be at least 1"):
        compare({"a": int}, **wrong)


def test_no_entry_is_ever_lost(tmp_path: Path) -> None:
    earlier = [{"results": {"old": {}}, "note": "of another script"}]
    (tmp_path / "net.json").write_text(json.dumps(earlier))
    first, second = (timing.Record("net", folder=tmp_path) for _ in range(2))
    first.entry["date"] = "1"
    first.add("x", {"a": {"ratio": 1.0}})
    second.add("x", {"a": {"ratio": 2.0}})
    first.add("y", {"a": {"ratio": 3.0}})
    history = timing.read_history(tmp_path / "net.json")
    assert history[0] == earlier[0]
    assert [sorted(entry["results"]) for entry in history] == [["old"], ["x"], ["x", "y"]]
    assert history[2]["results"]["x"]["a"]["ratio"] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text('[{"results"')
    with pytest.raises(ValueError, match=r"net\.json: not JSON .* restore it from git"):
        timing.Record("net", folder=tmp_path).add("x", {})
    assert (tmp_path / "net.json").read_text() == '[{"results"'


@pytest.mark.parametrize(("commit", "known"), [("abc", True), ("abc-dirty", False)])
def test_cases_of_this_commit_are_known(tmp_path: Path, commit: str, known: bool) -> None:
    def run() -> timing.Record:
        new = timing.Record("net", folder=tmp_path)
        new.entry["commit"] = commit
        return new

    run().add("x", {"a": {"ratio": 1.0}})
    again = run()
    assert (again.has("x"), again.has("y")) == (known, False)
    again.entry["threads"] = 77
    assert not again.has("x")


@pytest.mark.parametrize(("changed", "name"), [("", "abc"), (" M src/interlace/x.py\n", "abc-dirty")])
def test_results_that_have_been_added_are_no_change_of_the_code(
    changed: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-1] == ":!benchmarks/results"
        return subprocess.CompletedProcess(command, 0, changed, "")

    monkeypatch.setattr(timing.subprocess, "run", git)
    assert timing.commit_of_code("abc-dirty") == name
    assert timing.commit_of_code("abc") == "abc"
    assert timing.commit_of_code(None) is None


def test_results_tell_no_paths_and_no_host(tmp_path: Path) -> None:
    assert timing.without_paths("op.py /a/b/c.pt --out=/x/y.json rel/z") == "op.py c.pt --out=y.json rel/z"
    run = timing.Record("net", folder=tmp_path)
    run.add("x", {})
    text = (tmp_path / "net.json").read_text()
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text
    assert run.entry["machine"]["cores"] >= 1


def test_a_gpu_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "describe_machine", lambda device: {"device": str(device)})
    assert timing.Record("net", device="cuda", folder=tmp_path).file.name == "net_cuda.json"
    assert timing.Record("net", folder=tmp_path).file.name == "net.json"
