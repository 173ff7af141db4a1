"""Predictions over a folder that are killed at any moment: the same command goes on and ends as if undisturbed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from killing import events_of, killed_at, run_command, spread

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli import main
from interlace.inference.journal import journal_file


@dataclass(frozen=True)
class Job:
    """A prediction, and what it writes if nobody disturbs it."""

    words: list[str]
    whole: Path

    def of(self, output: Path) -> list[str]:
        return [*self.words, "--output", str(output)]

    def goes_on(self, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The same command, to the end: nothing twice, nothing missing, nothing left over."""
        journal = journal_file(output)
        num_kept = journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0
        capsys.readouterr()
        assert main(self.of(output)) == 0
        told = capsys.readouterr().err
        assert told == (f"going on: {num_kept} of 5 videos are done\n" if num_kept > 0 else "")
        names = sorted(path.name for path in output.parent.iterdir())
        assert names == [output.name] + (["day.events.csv"] if output.suffix == ".csv" else [])
        for name in names:
            assert (output.parent / name).read_bytes() == (self.whole / name).read_bytes()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Job:
    folder = tmp_path_factory.mktemp("job")
    tiny = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}
    network = interlace.create_model("tsn_resnet18", num_classes=3, num_segments=2, **tiny)
    card = ModelCard(
        model=network.builder,
        model_args=network.builder_args,
        labels=("left", "right", "still"),
        sampling={"name": "segment", "num_segments": 2},
        preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
    )
    model = save_checkpoint(folder / "tiny.safetensors", network, card)
    for number, frames in enumerate((6, 9, 8, 45, 7)):  # one of them has windows
        make_video(folder / "videos" / f"{number}.mp4", num_frames=frames, fps=2.0)
    whole = folder / "whole"
    words = ["predict", str(folder / "videos"), "--model", str(model), "--device", "cpu"]
    job = Job(words, whole)
    for name in ("day.csv", "day.json"):
        assert main(job.of(whole / name)) == 0
    return job


def bytes_of_the_journal(job: Job, folder: Path) -> int:
    """How large it is in the end: a power cut leaves it, as the write of the output is killed."""
    output = folder / "measured" / "day.csv"
    last = events_of(job.of(output), output.parent) - 1
    shutil.rmtree(output.parent)
    killed_at(job.of(output), last - 2, output.parent)
    return journal_file(output).stat().st_size


def test_killed_at_some_changes_of_files(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    num_events = events_of(job.of(tmp_path / "count" / "day.csv"), tmp_path / "count")
    for event in spread(num_events, 4):
        output = tmp_path / str(event) / "day.csv"
        assert killed_at(job.of(output), event, output.parent) == -signal.SIGKILL
        job.goes_on(output, capsys)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end(
    number: signal.Signals, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "day.json"
    num_events = events_of(job.of(tmp_path / "count" / "day.json"), tmp_path / "count")
    shutil.rmtree(tmp_path / "count")
    # The last but some: all videos are answered, the output is about to be written.
    ended = run_command(job.of(output), tmp_path, event=num_events - 4, signal_number=number)
    assert ended.status == 128 + number
    assert "the same command goes on" in ended.text
    assert "Traceback" not in ended.text
    job.goes_on(output, capsys)


def test_killed_in_the_middle_of_a_line(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = bytes_of_the_journal(job, tmp_path) // 2
    output = tmp_path / "torn" / "day.csv"
    ended = run_command(job.of(output), tmp_path, largest_file=size, full_disk=False)
    assert ended.status == -signal.SIGXFSZ
    assert journal_file(output).stat().st_size == size
    job.goes_on(output, capsys)


def test_the_disk_is_full(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = bytes_of_the_journal(job, tmp_path) // 2
    output = tmp_path / "full" / "day.csv"
    ended = run_command(job.of(output), tmp_path, largest_file=size)
    assert ended.status == 1
    assert f"{journal_file(output)} cannot be written: File too large; once that is mended" in ended.text
    assert "Traceback" not in ended.text
    job.goes_on(output, capsys)


@pytest.mark.faults
@pytest.mark.parametrize("name", ["day.csv", "day.json"])
def test_killed_at_every_change_of_files(
    name: str, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in range(events_of(job.of(tmp_path / "count" / name), tmp_path / "count")):
        output = tmp_path / str(event) / name
        assert killed_at(job.of(output), event, output.parent) == -signal.SIGKILL
        job.goes_on(output, capsys)


@pytest.mark.faults
def test_killed_at_many_bytes_and_again(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each time a little further: one prediction that is killed dozens of times."""
    size = bytes_of_the_journal(job, tmp_path)
    output = tmp_path / "torn" / "day.csv"
    sizes = range(400, size, 97)
    statuses = [
        run_command(job.of(output), tmp_path, largest_file=each, full_disk=False).status for each in sizes
    ]
    assert set(statuses) == {-signal.SIGXFSZ}
    job.goes_on(output, capsys)
