"""A training run of seconds, and one that goes on from a last.ckpt that was damaged."""

from __future__ import annotations

from pathlib import Path

from interlace.training.config import OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train


def train_tiny(data: Path, output: Path, *, epochs: int = 1, resume: bool = False) -> Path:
    """Train a tiny TIN on six clips, or go on with what the folder holds."""
    return train(
        TrainConfig(
            data=data,
            output=output,
            model="tin_test_resnet",
            pretrained=False,
            num_segments=2,
            image_size=32,
            epochs=epochs,
            batch_size=2,
            resume=resume,
            optim=OptimConfig(base_batch_size=2, warmup_epochs=0.0),
            trainer=TrainerConfig(num_workers=0, accelerator="cpu"),
        )
    )
