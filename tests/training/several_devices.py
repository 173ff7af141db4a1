"""A run on any number of devices, the same clips in each update: several_devices.py DATA OUTPUT DEVICES."""

from __future__ import annotations

import sys
from pathlib import Path

from interlace.training.config import OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train


def settings(data: Path, output: Path, devices: int) -> TrainConfig:
    """Without batch norm, which sees the clips of one device, and dropout, which draws on each by itself."""
    return TrainConfig(
        data=data,
        output=output,
        model="tin_resnet10t",
        pretrained=False,
        num_segments=4,
        image_size=32,
        epochs=2,
        batch_size=4 // devices,
        dropout=0.0,
        optim=OptimConfig(batch_norm="frozen", base_batch_size=4),
        trainer=TrainerConfig(num_workers=0, accelerator="cpu", devices=devices),
    )


if __name__ == "__main__":
    train(settings(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
