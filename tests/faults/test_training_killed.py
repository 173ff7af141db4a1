"""A training that is killed at any moment, and gone on with, ends with the bytes of one that was left alone."""

from __future__ import annotations

import csv
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import killing
import pytest

RESULTS = ("best.safetensors", "last.safetensors")


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video) -> Path:
    """Two classes of five videos."""
    root = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("down", "up")):
        for i in range(5):
            make_video(root / name / f"{i}.mp4", num_frames=6 + 5 * number + i, size=(48, 64))
    return root


def command(clips: Path, output: Path) -> list[str]:
    """Two epochs of two batches, a checkpoint after every one, everything on that could be lost."""
    settings = {
        "model": "tsn_test_resnet",
        "pretrained": "false",
        "num_segments": "2",
        "image_size": "32",
        "epochs": "2",
        "batch_size": "4",
        "resume": "true",
        "augment.mixup": "0.3",
        "trainer.ema_decay": "0.9",
        "trainer.num_workers": "0",
        "trainer.accelerator": "cpu",
        "trainer.checkpoint_minutes": "0.000001",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return ["train", str(clips), "--output", str(output), *options]


def results(folder: Path) -> dict[str, object]:
    """What must not depend on what happened on the way."""
    with (folder / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return {"rows": rows, **{name: (folder / name).read_bytes() for name in RESULTS}}


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory) -> tuple[dict[str, object], int]:
    """The results of a run that was left alone, and how many changes of files it made."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    num_events = killing.events_of(command(clips, output), output)
    assert num_events > 50  # checkpoints after each of four steps, and the rest
    return results(output), num_events


@pytest.fixture
def output(tmp_path) -> Iterator[Path]:
    """A folder for a run, gone at once: there are many."""
    yield tmp_path / "run"
    shutil.rmtree(tmp_path / "run", ignore_errors=True)


def kill_and_go_on(clips: Path, output: Path, event: int) -> None:
    assert killing.killed_at(command(clips, output), event, output) == -signal.SIGKILL
    ended = killing.run_command(command(clips, output), output)
    assert ended.status == 0, (event, ended.text)


def left_over(output: Path) -> list[str]:
    return [path.name for path in output.rglob(".*")]


@pytest.mark.parametrize("place", [0.1, 0.55, 0.95])
def test_killed_and_gone_on_with(clips, output, undisturbed, place):
    expected, num_events = undisturbed
    kill_and_go_on(clips, output, round(place * num_events))
    assert results(output) == expected
    assert left_over(output) == []


@pytest.mark.faults
def test_killed_at_every_change_of_files(clips, output, undisturbed):
    expected, num_events = undisturbed
    for event in range(num_events):
        kill_and_go_on(clips, output, event)
        assert results(output) == expected, event
        shutil.rmtree(output)


@pytest.mark.faults
def test_killed_again_and_again(clips, output, undisturbed):
    expected, _ = undisturbed
    times = 0
    while (
        killing.killed_at(command(clips, output), 45, output) is not None
    ):  # further on with each checkpoint
        times += 1
        assert times < 20
    assert times > 1
    assert results(output) == expected


@pytest.mark.faults
@pytest.mark.parametrize("event", [30, 50, 65, 80])
def test_sigterm_between_any_two_changes(clips, output, undisturbed, event):
    expected, _ = undisturbed
    ended = killing.run_command(command(clips, output), output, event=event, signal_number=signal.SIGTERM)
    assert ended.status in (128 + signal.SIGTERM, -signal.SIGTERM), ended.text
    assert "Traceback" not in ended.text
    if ended.status > 0:
        assert "SIGTERM: stopping after this step" in ended.text
    ended = killing.run_command(command(clips, output), output)
    assert ended.status == 0, ended.text
    assert results(output) == expected
