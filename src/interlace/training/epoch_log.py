"""One line and one row of metrics.csv an epoch."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from interlace.files import whole_file
from interlace.training.gathering import is_first_process, of_all_processes

SECONDS_BETWEEN_LINES = 60.0
STEPS_BETWEEN_POINTS = 10
"""Of the curves in tensorboard/."""


class EpochLog(Callback):
    """Prints a line and writes a row after every epoch; in a log file also a line a minute.

    The rows are part of a checkpoint, so that a resumed run's table is that of an uninterrupted one but for
    the column of seconds.

    Args:
        path: the table, usually metrics.csv.
        bar: a progress bar is on the screen; without one a line says every minute how far the epoch is.
    """

    def __init__(self, path: Path, *, bar: bool) -> None:
        self.path = path
        self.bar = bar
        self.rows: list[dict[str, int | float]] = []
        self.loss_sum: Tensor | float = 0.0
        self.num_clips = 0
        self.lr = 0.0
        self._clips_here = 0
        self._began = self._line_at = self._train_began = time.monotonic()
        self._epochs_here = 0

    def state_dict(self) -> dict[str, Any]:
        """The rows and the sums of the epoch in hand, over all processes; each of them asks."""
        parts = of_all_processes((float(self.loss_sum), self.num_clips))
        loss_sum, num_clips = (sum(numbers) for numbers in zip(*parts, strict=True))
        return {"rows": self.rows, "loss_sum": loss_sum, "num_clips": num_clips}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.rows, self.loss_sum, self.num_clips = (
            state_dict[key] for key in ("rows", "loss_sum", "num_clips")
        )
        if not is_first_process():
            self.loss_sum, self.num_clips = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._began = self._line_at = self._train_began = time.monotonic()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Note the learning rate while it is in use; not by the module's log, which copies it to a GPU and waits."""
        del pl_module
        self.lr = float(optimizer.param_groups[0]["lr"])
        if trainer.global_step % STEPS_BETWEEN_POINTS == 0:
            for logger in trainer.loggers:
                logger.log_metrics({"lr": self.lr}, step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the batch to the epoch's sums, on the device: nothing waits for it."""
        del pl_module
        clips = len(batch["index"])
        loss = outputs["mean_loss"]
        precise = torch.float32 if loss.is_mps else torch.float64  # Apple's GPUs have no more
        self.loss_sum = self.loss_sum + clips * loss.to(precise)
        self.num_clips += clips
        self._clips_here += clips * trainer.world_size
        if not self.bar and time.monotonic() - self._line_at > SECONDS_BETWEEN_LINES:
            self._line_at = time.monotonic()
            done, total = batch_idx + 1, int(trainer.num_training_batches)
            left = (total - done) * (self._line_at - self._began) / done
            say(
                trainer,
                f"epoch {trainer.current_epoch + 1}: batch {done}/{total}, {duration(left)} left in it",
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row and the line."""
        sums = torch.stack([torch.as_tensor(float(self.loss_sum)), torch.tensor(float(self.num_clips))])
        sums = trainer.strategy.reduce(sums.to(pl_module.device), reduce_op="sum")
        loss = float(sums[0] / sums[1])
        validated = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val_")
        }
        if (trainer.current_epoch + 1) % int(
            trainer.check_val_every_n_epoch or 1
        ) and not trainer.should_stop:
            validated = {}
        seconds = time.monotonic() - self._began
        row: dict[str, int | float] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= {"lr": self.lr, "train_loss": loss, **validated, "seconds": round(seconds, 1)}
        self.rows = [*self.rows, row]
        self._epochs_here += 1
        if trainer.is_global_zero:
            write_rows(self.path, self.rows)
        for logger in trainer.loggers:
            logger.log_metrics({"train_loss": loss}, step=trainer.global_step)
        say(trainer, self._line(trainer, row, seconds))
        self.loss_sum, self.num_clips, self._clips_here = 0.0, 0, 0
        self._began = time.monotonic()

    def _line(self, trainer: Trainer, row: dict[str, int | float], seconds: float) -> str:
        epochs = int(trainer.max_epochs or 1)
        percents = [
            f"{k.removeprefix('val_')} {v:.1f}%"
            for k, v in row.items()
            if k.startswith("val_") and k != "val_loss"
        ]
        parts = [f"epoch {row['epoch']}/{epochs}", f"loss {row['train_loss']:.3f}"]
        if "val_loss" in row:
            parts += [f"validation loss {row['val_loss']:.3f}", *percents]
        parts += [f"{self._clips_here / max(seconds, 1e-9):.1f} clips/s"]
        left = (epochs - row["epoch"]) * (time.monotonic() - self._train_began) / self._epochs_here
        return ", ".join([*parts, f"{duration(left)} left"] if left else parts)


def write_rows(path: Path, rows: list[dict[str, int | float]]) -> None:
    """Write a table whose rows may have different columns; the old one stays until the new one is whole."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    with whole_file(path) as beside:
        beside.write_text(text.getvalue())


def say(trainer: Trainer, line: str) -> None:
    """Print a line above the progress bar, once for all devices."""
    if not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if bar is None:
        print(line, flush=True)
    else:
        bar.print(line)


def duration(seconds: float) -> str:
    """A time span as people say it.

    Example:
        >>> from interlace.training.epoch_log import duration
        >>> duration(42.0), duration(600.0), duration(9000.0)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
