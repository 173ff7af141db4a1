"""Runs on any number of devices, with the same clips in each update: several_devices.py DATA OUTPUT DEVICES CASE...

A case is NAME, or NAME:FOLDER:STEP, which goes on with the run in FOLDER and is asked to stop in front of this
process's batch STEP, from 1; 0 is never. All are without dropout, which each device draws by itself.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from interlace.training import module, parts, saving
from interlace.training.config import AugmentConfig, LossConfig, OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train
from interlace.training.stopping import Interrupted

STEP_CLIPS = {"frozen": 4, "everything": 4, "sharded": 4, "multi_label": 4, "broken": 2}
"""Clips of a step, all devices together."""


class AskedToStop(module.ClassificationModule):
    """The last process, and no other, is sent SIGTERM in front of a batch."""

    steps = stop_at = 0

    def training_step(self, batch, batch_idx):
        """Count."""
        type(self).steps += 1
        if self.steps == self.stop_at and self.global_rank == self.trainer.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().training_step(batch, batch_idx)


def settings(case: str, data: Path, output: Path, devices: int) -> TrainConfig:
    """The run that a case is."""
    config = TrainConfig(
        data=data,
        output=output,
        train=Path("train.csv"),
        val=Path("val.csv"),
        model="tin_test_resnet",
        pretrained=False,
        num_segments=4,
        image_size=32,
        epochs=2,
        batch_size=STEP_CLIPS[case] // devices,
        lr=0.05,
        dropout=0.0,
        resume=True,
        augment=AugmentConfig(color_jitter=0.2),
        optim=OptimConfig(base_batch_size=4),
        trainer=TrainerConfig(num_workers=0, accelerator="cpu", devices=devices, sync_batch_norm=True),
    )
    if case == "frozen":
        return replace(config, optim=replace(config.optim, batch_norm="frozen", clip_gradient=0.0))
    if case == "multi_label":
        return replace(config, train=Path("several.csv"), val=Path("few.csv"), lr=0.02)
    if case == "broken":  # of two clips a step batch norm makes much of the last digit
        broken = {"train": Path("broken.csv"), "val": Path("one.csv"), "on_error": "skip"}
        return replace(config, **broken, epochs=1, lr=0.005)
    strategy = "fsdp" if case == "sharded" else "ddp"
    return replace(
        config,
        optim=replace(config.optim, accumulate=2, clip_gradient=0.1),
        loss=LossConfig(class_balance="sampler"),
        trainer=replace(config.trainer, ema_decay=0.9, strategy=strategy),
    )


def run(case: str, data: Path, output: Path, devices: int) -> None:
    """One case of the command line."""
    name, folder, step = case.split(":") if ":" in case else (case, case, "0")
    AskedToStop.steps, AskedToStop.stop_at = 0, int(step)
    parts.ClassificationModule = AskedToStop
    saving.SECONDS_BETWEEN_AGREEMENTS = 0.0  # after every update
    try:
        train(settings(name, data, output / folder, devices))
    except Interrupted:
        assert int(step), "nobody asked to stop"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for one in sys.argv[4:]:
        run(one, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
