"""Two processes, of which one meets a clip whose loss is no number: diverging_processes.py DATA OUTPUT WHERE.

WHERE is train or val.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

from interlace.training import module, parts
from interlace.training.config import OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train


class Diverging(module.ClassificationModule):
    """The second process, in the second epoch."""

    def frames(self, pixels):
        """One clip has a pixel that is no number."""
        frames = super().frames(pixels)
        if self.global_rank == 1 and self.trainer.current_epoch == 1 and self.training == (WHERE == "train"):
            frames[0, 0, 0, 0, 0] = math.nan
        return frames


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, output, WHERE = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    parts.ClassificationModule = Diverging
    config = TrainConfig(
        data=data,
        output=output,
        model="tsn_test_resnet",
        pretrained=False,
        num_segments=2,
        image_size=32,
        epochs=2,
        batch_size=2,
        optim=OptimConfig(batch_norm="frozen"),
        trainer=TrainerConfig(num_workers=0, accelerator="cpu", devices=2),
    )
    try:
        train(config)
    except ValueError as error:
        print(f"error: {error}", flush=True)
