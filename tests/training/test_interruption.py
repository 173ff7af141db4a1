"""A run killed by SIGKILL, then by SIGTERM, and gone on with, ends with the weights of one left alone."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import load_checkpoint
from interlace.training.config import OptimConfig, TrainerConfig
from interlace.training.run import train
from interlace.training.stopping import Interrupted

SCRIPT = Path(__file__).with_name("interrupted_run.py")


def run_script(data: Path, output: Path, signal_name: str, step: int, workers: int) -> tuple[int, str]:
    command = [sys.executable, SCRIPT, data, output, signal_name, step, workers]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.faults
def test_killed_twice_and_gone_on_with(clips, tmp_path, one_thread, interrupted_run):
    alone, interrupted = tmp_path / "alone", tmp_path / "interrupted"
    train(interrupted_run.settings(clips, alone))

    # 12 clips are 6 batches and 3 updates an epoch. In front of batch 6 of epoch 1, after update 2:
    status, _ = run_script(clips, interrupted, "SIGKILL", 6, workers=1)
    assert status == -signal.SIGKILL
    # Goes on with batch 5; then in front of batch 2 of epoch 2, which belongs to update 4:
    status, said = run_script(clips, interrupted, "SIGTERM", 4, workers=1)
    assert status == 128 + signal.SIGTERM, said
    assert "SIGTERM: stopping after this step" in said
    assert "stopped at step 4; go on with --resume true" in said
    assert "Traceback" not in said
    train(interrupted_run.settings(clips, interrupted))

    assert table(interrupted) == table(alone)
    for name in ("best.safetensors", "last.safetensors"):
        model, card = load_checkpoint(alone / name)
        other, other_card = load_checkpoint(interrupted / name)
        for (key, value), again in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(value, again), (name, key)
        assert (card.metrics, card.training["epoch"]) == (other_card.metrics, other_card.training["epoch"])


def test_sigterm_ends_with_a_checkpoint(settings, monkeypatch, interrupted_run):
    config = settings(trainer=TrainerConfig(num_workers=0, accelerator="cpu", checkpoint_minutes=0.0))
    monkeypatch.setattr(interrupted_run, "SIGNAL", signal.SIGTERM, raising=False)
    monkeypatch.setattr(interrupted_run, "STEP", 2, raising=False)
    monkeypatch.setattr(interrupted_run.Interrupted, "steps", 0)
    monkeypatch.setattr("interlace.training.parts.ClassificationModule", interrupted_run.Interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stopped:
        train(config)
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert (config.output / "last.ckpt").exists()
    assert not (config.output / "last.safetensors").exists()
    assert train(replace(config, resume=True)).exists()


def test_adamw_goes_on_where_it_was(settings, monkeypatch, interrupted_run, one_thread):
    optim = OptimConfig(name="adamw", weight_decay=0.05, base_batch_size=4)
    trainer = TrainerConfig(num_workers=0, accelerator="cpu", checkpoint_minutes=0.0)
    config = settings(optim=optim, lr=0.001, trainer=trainer)
    alone = replace(config, output=config.output.with_name("alone"))
    with monkeypatch.context() as patched:
        patched.setattr(interrupted_run, "SIGNAL", signal.SIGTERM, raising=False)
        patched.setattr(interrupted_run, "STEP", 2, raising=False)
        patched.setattr(interrupted_run.Interrupted, "steps", 0)
        patched.setattr("interlace.training.parts.ClassificationModule", interrupted_run.Interrupted)
        with pytest.raises(Interrupted):
            train(config)
    state = torch.load(config.output / "last.ckpt", weights_only=True)["optimizer_states"][0]["state"]
    assert {"exp_avg", "exp_avg_sq", "step"} == set(state[0])
    train(replace(config, resume=True))
    train(alone)
    assert (config.output / "last.safetensors").read_bytes() == (
        alone.output / "last.safetensors"
    ).read_bytes()


def test_other_clips_than_at_the_start(settings, clips, tmp_path, monkeypatch):
    listed = [f"{clips / name / f'{i}.mp4'},{name}" for i in range(5) for name in ("dark", "wide")]
    annotations = tmp_path / "train.csv"
    annotations.write_text("\n".join(["path,label", *listed]))
    config = settings(train=annotations, trainer=TrainerConfig(num_workers=0, accelerator="cpu", max_steps=1))
    train(config)
    (config.output / "last.safetensors").unlink()  # as if it had been interrupted
    annotations.write_text("\n".join(["path,label", *listed[:-1]]))
    with pytest.raises(ValueError, match="training clips or their labels have changed"):
        train(replace(config, resume=True))
