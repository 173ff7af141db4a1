"""A training, or an evaluation, whose worker is killed or whose step finds no memory; then it goes on."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from multiprocessing import connection

import pytest
import torch

from interlace.cli import main
from interlace.data.dataset import TrainDataset, ViewDataset
from interlace.data.out_of_memory import OutOfMemoryError
from interlace.data.worker_errors import WorkerError
from interlace.files import locked
from interlace.training.config import TrainerConfig
from interlace.training.module import ClassificationModule
from interlace.training.run import train

# When a process that decodes dies, torch's loader tries whether it can open files; the news of the death may come in
# the middle of that, and leaves one of them to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)


class Killed(TrainDataset):
    """The system kills the process that reads clip 7 in the second epoch."""

    def __getitem__(self, position):
        """Die, or give the clip."""
        if position == 7 and int(self._epoch) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(position)


class KilledViews(ViewDataset):
    """The same of clip 1, always."""

    def __getitem__(self, index):
        """Die, or give the clip."""
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def break_and_die(asking, authkey):
    """The connection over which a batch is fetched breaks a moment before the news of the process's end."""
    asking.close()
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


class KilledInHandingOver(ViewDataset):
    """The same, when the other process asks for the batch."""

    def __getitem__(self, index):
        """Give the clip, and die when asked for it."""
        connection.deliver_challenge = break_and_die
        return super().__getitem__(index)


@pytest.fixture
def small(settings, one_thread):
    """A run of the smallest network with one process that decodes."""
    trainer = TrainerConfig(num_workers=1, accelerator="cpu")
    return lambda **changes: settings(model="tsn_test_resnet", num_segments=2, trainer=trainer, **changes)


def test_a_killed_worker_and_going_on(small, monkeypatch, clips):
    config = small()
    with monkeypatch.context() as patched:
        patched.setattr("interlace.training.parts.TrainDataset", Killed)
        with pytest.raises(
            WorkerError, match=rf"\(Killed\) while it read {clips}/\w+/\d\.mp4, in a batch of {clips}"
        ):
            train(config)
    assert torch.load(config.output / "last.ckpt", weights_only=True)["global_step"] >= 3
    train(replace(config, resume=True))
    alone = replace(config, output=config.output.with_name("alone"))
    train(alone)
    for name in ("best.safetensors", "last.safetensors"):
        assert (config.output / name).read_bytes() == (alone.output / name).read_bytes()


def test_a_worker_of_the_validation_killed_with_a_batch_in_its_hands(small, monkeypatch):
    monkeypatch.setattr("interlace.training.parts.ViewDataset", KilledInHandingOver)
    with pytest.raises(WorkerError, match=r"a process that decodes (was killed|is gone)"):
        train(small())


def test_a_killed_worker_in_evaluation(small, monkeypatch, clips, capsys, tmp_path):
    best = train(small(epochs=1))
    monkeypatch.setattr("interlace.evaluation.loop.ViewDataset", KilledViews)
    capsys.readouterr()
    arguments = ["evaluate", str(clips), "--model", str(best), "--num_workers", "1", "--batch_size", "2"]
    assert main([*arguments, "--output", str(tmp_path / "scores")]) == 1
    said = capsys.readouterr().err
    assert f"was killed by a signal (Killed) while it read {clips}" in said
    assert "the system does so when memory runs out" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("step", ["training_step", "validation_step"])
def test_no_memory_in_a_step(small, monkeypatch, clips, step):
    def greedy(self, *args):
        return torch.empty(10**15)

    monkeypatch.setattr(ClassificationModule, step, greedy)
    with pytest.raises(OutOfMemoryError) as error:
        train(small(epochs=1))
    message = str(error.value)
    assert message.startswith(f"out of memory in training or validation with a batch of {clips}")
    assert message.count(".mp4") == (4 if step == "training_step" else 3)
    assert "a smaller batch_size or image_size" in message


def test_two_trainings_in_one_folder(small):
    config = small(epochs=1)
    with (
        locked(config.output / ".training", "the other"),
        pytest.raises(ValueError, match=rf"run: training is under way in process {os.getpid()} on "),
    ):
        train(config)
    assert train(config).exists()  # the lock is gone
    assert not (config.output / ".training").exists()
