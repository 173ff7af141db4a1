"""Interrupted at any step and gone on with: every batch is seen once, and the weights are the same bits."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from interlace.checkpoints import ModelCard
from interlace.training.epoch_log import EpochLog
from interlace.training.loader import ClipData
from interlace.training.loss import classification_loss
from interlace.training.mixing import mix_clips
from interlace.training.module import ClassificationModule
from interlace.training.optim import learning_rate_factor
from interlace.training.quiet import quiet
from interlace.training.saving import RunSaver
from interlace.training.stopping import StopOnSignal

NUM_CLIPS, BATCH_SIZE, EPOCHS = 9, 2, 2
BATCHES = 5  # an epoch, the last one of one clip


class Clips:
    """Clip i of epoch e is drawn from (e, i)."""

    def __init__(self) -> None:
        self.epoch = 0

    def __len__(self) -> int:
        return NUM_CLIPS

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(100 * self.epoch + index)
        clip = torch.randint(256, (2, 3, 5, 7), dtype=torch.uint8, generator=generator)
        return {"clip": clip, "views": clip[None], "label": index % 3, "index": index}


def collate(items: list[dict]) -> dict:
    batch = {key: torch.stack([item[key] for item in items]) for key in ("clip", "views")}
    for key in ("label", "index"):
        batch[key] = torch.tensor([item[key] for item in items])
    return {**batch, "errors": []}


class Network(nn.Module):
    """Enough of one to have dropout, batch norm, a head and momentum."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(3, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.head(
            self.dropout(self.norm(clip.flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, 2)).mean(1))
        )


class Journal(Callback):
    """Writes down what was trained on, and stops in front of one batch without a word, as SIGKILL does."""

    def __init__(self, killed_at: int | None) -> None:
        self.killed_at = killed_at
        self.steps: list[tuple[int, int, list[int]]] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if len(self.steps) == self.killed_at:
            raise RuntimeError("killed")
        self.steps.append((trainer.current_epoch, batch_idx, batch["index"].tolist()))


def train(folder, *, accumulate: int, killed_at: int | None = None, minutes: float = 1e-9):
    """One run, or the rest of one; what it was trained on, its weights, its table."""
    torch.manual_seed(0)
    module = ClassificationModule(
        Network(),
        preprocess=Scale(),
        loss=classification_loss,
        mix=partial(mix_clips, mixup=0.3, cutmix=0.5),
        make_optimizer=make_optimizer,
        lr_factor=partial(
            learning_rate_factor, steps_per_epoch=math.ceil(BATCHES // accumulate), epochs=EPOCHS
        ),
        num_classes=3,
        ema_decay=0.9,
    )
    journal, log = Journal(killed_at), EpochLog(folder / "metrics.csv", bar=False)
    card = ModelCard("tsn_resnet18", {"num_classes": 3}, ("a", "b", "c"), {"name": "segment"}, {})
    saver = RunSaver(folder, card, StopOnSignal(), monitor="val_top1", minutes=minutes)
    saver.write_model = lambda *_: None
    with quiet():
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=EPOCHS,
            accumulate_grad_batches=accumulate,
            callbacks=[journal, log, saver],
            logger=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = ClipData(Clips(), Clips(), batch_size=BATCH_SIZE, num_workers=0, seed=0, collate=collate)
        checkpoint = folder / "last.ckpt"
        ending = nullcontext() if killed_at is None else pytest.raises(RuntimeError, match="killed")
        with ending:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint if checkpoint.exists() else None)
    table = [{k: v for k, v in row.items() if k != "seconds"} for row in log.rows]
    return journal.steps, module.state_dict(), table


class Scale(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels / 255


def make_optimizer(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_killed_anywhere(tmp_path, accumulate):
    whole, weights, table = train(tmp_path / "whole", accumulate=accumulate)
    assert [(epoch, number) for epoch, number, _ in whole] == [
        (e, b) for e in range(EPOCHS) for b in range(BATCHES)
    ]
    for killed_at in range(1, len(whole)):
        folder = tmp_path / str(killed_at)
        first, _, _ = train(folder, accumulate=accumulate, killed_at=killed_at)
        rest, resumed_weights, resumed_table = train(folder, accumulate=accumulate)
        done = next((i for i in range(len(whole)) if whole[i:] == rest), None)
        assert done is not None, (killed_at, first, rest)
        assert done <= killed_at < done + accumulate + (BATCHES % accumulate > 0)
        assert first == whole[:killed_at]
        assert resumed_table == table
        for name, value in weights.items():
            assert torch.equal(resumed_weights[name], value), (killed_at, name)
