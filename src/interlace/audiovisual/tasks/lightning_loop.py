"""Lightning's loop over timelines that are in memory, with validation after each epoch."""

from __future__ import annotations

import copy
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from interlace.audiovisual.tasks.answers import MAIN_METRIC, NotFiniteError
from interlace.audiovisual.tasks.batches import BatchReader
from interlace.audiovisual.tasks.event_settings import EpochRow, EventSettings, Progress


class EventLoop(LightningModule):
    """What Lightning calls: a step on numbers of timelines, and validation after each epoch."""

    def __init__(
        self,
        network: Any,
        read: BatchReader,
        score: Callable[[], dict[str, float]],
        settings: EventSettings,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.read, self.score, self.settings, self.report = read, score, settings, progress
        self.history: list[EpochRow] = []
        self.best: EpochRow = {}
        self.best_weights: dict[str, Tensor] = {}

    def on_train_epoch_start(self) -> None:
        """Nothing is summed yet."""
        self.total, self.count = torch.zeros((), device=self.device), 0

    def training_step(self, numbers: Tensor, batch_idx: int) -> Tensor:
        """The loss of some timelines."""
        del batch_idx
        loss = self.network.loss(self.read(numbers))
        self.total += loss.detach() * len(numbers)
        self.count += len(numbers)
        return loss

    def on_train_epoch_end(self) -> None:
        """Validate, and keep the weights if they are the best so far."""
        epoch, loss = self.current_epoch + 1, float(self.total) / self.count
        if not math.isfinite(loss):
            raise NotFiniteError(
                f"the loss of epoch {epoch} is {loss}; try a smaller lr than {self.settings.lr:g}, or clip_gradient=1"
            )
        row: EpochRow = {"epoch": epoch, "loss": loss, **self.score()}
        main = MAIN_METRIC[self.settings.task]
        if not self.best or row[main] > self.best[main]:
            self.best, self.best_weights = row, copy.deepcopy(self.network.state_dict())
        self.history.append(row)
        if self.report:
            self.report(row, self.best)
        if 0 < self.settings.patience <= epoch - self.best["epoch"]:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """Adam; with decay of the weights, AdamW."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            fused=_has_fused(self.device),
        )
        if settings.schedule == "constant":
            return optimizer
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)]


class Shuffled:
    """The numbers of the training timelines, in another order each time, in parts as large as each other.

    65 in batches of 64 are 33 and 32: a step on what is left over, a single one, would weigh as much as the others.
    """

    def __init__(self, numbers: Tensor, batch_size: int, generator: torch.Generator) -> None:
        self.numbers, self.batch_size, self.generator = numbers, batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.numbers) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.numbers), generator=self.generator)
        return iter(self.numbers[order].tensor_split(len(self)))


def make_trainer(settings: EventSettings, device: torch.device) -> Trainer:
    """One device, no files, nothing printed."""
    # Lightning's own 0.25 ms are small beside a step of 5 ms: without logger, bar and checkpoints (one core).
    accelerator = {"cuda": "gpu"}.get(device.type, device.type)
    return Trainer(
        accelerator=accelerator,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=settings.epochs,
        gradient_clip_val=settings.clip_gradient or None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _has_fused(device: torch.device) -> bool:
    """One call for all parameters: 0.4 ms a step of DAM, where a loop over them took 1.5."""
    return device.type in ("cpu", "cuda", "mps")


@contextmanager
def signals_as_everywhere() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt, and SIGTERM an exit that is not 0.

    Lightning makes an exit of both, that of SIGTERM with status 0, and leaves Ctrl-C ignored from then on.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from error
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from error
