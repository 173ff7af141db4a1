"""A training run that is signalled in front of a step: interrupted_run.py DATA OUTPUT SIGNAL STEP WORKERS.

STEP counts the steps of this process from 1; 0 is never.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from interlace.training import module, parts
from interlace.training.config import AugmentConfig, OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train


class Interrupted(module.ClassificationModule):
    """Sends itself the signal."""

    steps = 0

    def training_step(self, batch, batch_idx):
        """Count, and maybe die."""
        type(self).steps += 1
        if self.steps == STEP:
            os.kill(os.getpid(), SIGNAL)
        return super().training_step(batch, batch_idx)


def settings(data: Path, output: Path, *, num_workers: int = 0) -> TrainConfig:
    """Everything switched on that could be lost: mixing, averaged weights, accumulated gradients, dropout."""
    return TrainConfig(
        data=data,
        output=output,
        model="tin_test_resnet",
        pretrained=False,
        num_segments=4,
        image_size=32,
        epochs=2,
        batch_size=2,
        resume=True,
        augment=AugmentConfig(mixup=0.3, cutmix=1.0, color_jitter=0.2),
        optim=OptimConfig(accumulate=2, base_batch_size=4),
        trainer=TrainerConfig(
            num_workers=num_workers,
            accelerator="cpu",
            ema_decay=0.9,
            checkpoint_minutes=1e-6,
        ),
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    SIGNAL, STEP = getattr(signal, sys.argv[3]), int(sys.argv[4])
    parts.ClassificationModule = Interrupted
    train(settings(Path(sys.argv[1]), Path(sys.argv[2]), num_workers=int(sys.argv[5])))
