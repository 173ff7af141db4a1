"""Every command that writes files, killed at any moment: no half file has a name, and the same command ends it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Inputs, arguments, contents, leftovers, make_inputs
from killing import events_of, killed_at, run_command, spread

SLOW = ("evaluate", "export torch", "export onnx", "export openvino")
QUICK = ("render", "flow", "ensemble", "import", "shard", "av features")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"), make_video)


def _undisturbed(name: str, inputs: Inputs, output: Path) -> tuple[list[str], dict[str, bytes], int]:
    command = arguments(name, inputs, output)
    output.mkdir()
    num_events = events_of(command, output)
    whole = contents(output)
    assert whole
    assert leftovers(output) == []
    return command, whole, num_events


def _emptied(output: Path) -> None:
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()


def _ends_well(command: list[str], output: Path, whole: dict[str, bytes]) -> None:
    ended = run_command(command, output)
    assert ended.status == 0, ended.text
    assert contents(output) == whole
    assert leftovers(output) == []


def _are_of(whole: dict[str, bytes], found: dict[str, bytes]) -> None:
    """What stands there is what an undisturbed run leaves, or not there at all."""
    for name, content in found.items():
        assert content == whole[name], name


def _killed(command: list[str], event: int, output: Path, whole: dict[str, bytes], *, goes_on: bool) -> None:
    assert killed_at(command, event, output) == -signal.SIGKILL
    _are_of(whole, contents(output))
    if goes_on:
        _ends_well(command, output, whole)


@pytest.mark.parametrize(("name", "count"), [("flow", 4), ("ensemble", 1), ("av features", 1), ("shard", 2)])
def test_killed_at_a_few_moments(name: str, count: int, inputs: Inputs, tmp_path: Path) -> None:
    command, whole, num_events = _undisturbed(name, inputs, tmp_path / "out")
    for event in spread(num_events - 1, count + 1)[1:]:
        _emptied(tmp_path / "out")
        _killed(command, event, tmp_path / "out", whole, goes_on=True)


@pytest.mark.faults
@pytest.mark.parametrize("name", QUICK)
def test_killed_at_every_moment(name: str, inputs: Inputs, tmp_path: Path) -> None:
    command, whole, num_events = _undisturbed(name, inputs, tmp_path / "out")
    for event in range(num_events):
        _emptied(tmp_path / "out")
        _killed(command, event, tmp_path / "out", whole, goes_on=event % 4 == 0 or event > num_events - 8)
    _emptied(tmp_path / "out")
    assert killed_at(command, num_events, tmp_path / "out") is None


@pytest.mark.faults
@pytest.mark.parametrize("name", SLOW)
def test_killed_while_the_results_are_written(name: str, inputs: Inputs, tmp_path: Path) -> None:
    """What is slow is killed at fewer moments, most of them at its end, where files take their names."""
    command, whole, num_events = _undisturbed(name, inputs, tmp_path / "out")
    for event in {*spread(num_events, 8), *range(num_events - 8, num_events)}:
        _emptied(tmp_path / "out")
        _killed(command, event, tmp_path / "out", whole, goes_on=event % 4 == 0)


@pytest.mark.faults
@pytest.mark.parametrize("name", ["ensemble", *SLOW])
def test_killed_over_the_results_of_an_earlier_run(name: str, inputs: Inputs, tmp_path: Path) -> None:
    command, whole, num_events = _undisturbed(name, inputs, tmp_path / "out")
    for event in {*spread(num_events, 4), *range(num_events - 4, num_events)}:
        _killed(command, event, tmp_path / "out", whole, goes_on=True)


@pytest.mark.parametrize(("name", "size"), [("ensemble", 30_000), ("flow", 300)])
def test_killed_in_the_middle_of_a_file(name: str, size: int, inputs: Inputs, tmp_path: Path) -> None:
    """The kernel kills it at that byte of whatever file it writes, in whatever language."""
    command, whole, _ = _undisturbed(name, inputs, tmp_path / "out")
    _emptied(tmp_path / "out")
    ended = run_command(command, tmp_path / "out", largest_file=size, full_disk=False)
    assert ended.status == -signal.SIGXFSZ
    assert leftovers(tmp_path / "out")
    assert contents(tmp_path / "out") == {}
    _ends_well(command, tmp_path / "out", whole)


@pytest.mark.faults
@pytest.mark.parametrize("name", [*QUICK, *SLOW])
@pytest.mark.parametrize("size", [500, 5_000])
def test_killed_in_the_middle_of_any_file(name: str, size: int, inputs: Inputs, tmp_path: Path) -> None:
    command, whole, _ = _undisturbed(name, inputs, tmp_path / "out")
    _emptied(tmp_path / "out")
    ended = run_command(command, tmp_path / "out", largest_file=size, full_disk=False)
    assert ended.status in (-signal.SIGXFSZ, 0)  # 0: no file is that large
    _are_of(whole, contents(tmp_path / "out"))
    _ends_well(command, tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("name", "event", "said"),
    [
        ("flow", 40, "keeps what is whole, the same command goes on"),
        pytest.param(
            "av features", 20, "keeps what is whole, the same command goes on", marks=pytest.mark.faults
        ),
        pytest.param("render", 10, "", marks=pytest.mark.faults),
        pytest.param("export torch", 60, "", marks=pytest.mark.faults),
        pytest.param("evaluate", 20, "", marks=pytest.mark.faults),
        pytest.param("shard", 20, "keeps what is whole, the same command goes on", marks=pytest.mark.faults),
    ],
)
@pytest.mark.parametrize(
    ("number", "status", "stopped"),
    [(signal.SIGINT, 130, "error: stopped by Ctrl-C"), (signal.SIGTERM, 143, "error: stopped by SIGTERM")],
)
def test_stopped_in_a_sentence(
    name: str, event: int, said: str, number: int, status: int, stopped: str, inputs: Inputs, tmp_path: Path
) -> None:
    command, whole, _ = _undisturbed(name, inputs, tmp_path / "out")
    _emptied(tmp_path / "out")
    ended = run_command(command, tmp_path / "out", event=event, signal_number=number)
    assert ended.status == status, ended.text
    (line,) = (line for line in ended.text.splitlines() if line.startswith("error"))
    assert line.startswith(stopped)
    assert line.endswith(said)
    assert "Traceback" not in ended.text
    _are_of(whole, contents(tmp_path / "out"))
    assert leftovers(tmp_path / "out") == []
    _ends_well(command, tmp_path / "out", whole)
