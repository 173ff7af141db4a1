"""What a run leaves behind: last.ckpt to go on from, best.safetensors and last.safetensors to use."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.files import whole_file
from interlace.training.module import ClassificationModule
from interlace.training.sharded import whole_network
from interlace.training.stopping import Interrupted, StopOnSignal

# Several devices agree on stopping and saving only so often: it costs a message between them. But soon enough for a
# scheduler, which kills what has not ended some seconds (30 with torchrun) after it was asked to.
SECONDS_BETWEEN_AGREEMENTS = 2.0
MOST_STEPS_BETWEEN_AGREEMENTS = 50


class RunSaver(Callback):
    """Saves at every epoch's end, every so many minutes, when asked to stop, and when validation is better.

    Put it last among the callbacks, so that what the others count is saved with the step it belongs to.

    Args:
        output: folder of the run.
        card: what is written into best.safetensors and last.safetensors; metrics and epoch are filled in.
        stop: tells when to stop.
        monitor: metric of which more is better; the loss decides between equals.
        minutes: time between checkpoints within an epoch; 0 is off.
        data_fingerprint: identifies the training clips; going on with others is an error.
    """

    def __init__(
        self,
        output: Path,
        card: ModelCard,
        stop: StopOnSignal,
        *,
        monitor: str,
        minutes: float = 30.0,
        data_fingerprint: str = "",
    ) -> None:
        self.output = output
        self.card = card
        self.stop = stop
        self.monitor = monitor
        self.minutes = minutes
        self.data_fingerprint = data_fingerprint
        self.best: dict[str, float] = {}
        self.best_epoch = -1
        self._saved_at = time.monotonic()
        self._last_step = 0
        self._agreed_at, self._agreed_step, self._agree_again = time.monotonic(), 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The best result so far."""
        return {"best": self.best, "best_epoch": self.best_epoch, "data_fingerprint": self.data_fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best result; refuse other data."""
        if state_dict["data_fingerprint"] != self.data_fingerprint:
            raise ValueError(
                f"the training clips or their labels have changed since {self.output} was begun; "
                "restore them, or start a new run with another --output"
            )
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        del pl_module
        self._saved_at = time.monotonic()
        self._last_step = self._agreed_step = self._agree_again = trainer.global_step
        self._agreed_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, but only between updates: gradients half added up are not in a checkpoint."""
        del pl_module, outputs, batch, batch_idx
        if trainer.global_step == self._last_step or trainer.is_last_batch:
            return
        self._last_step = trainer.global_step
        if trainer.world_size > 1 and trainer.global_step < self._agree_again:
            return
        stop = self.stop.signal_number is not None
        overdue = self.minutes > 0 and time.monotonic() - self._saved_at > 60 * self.minutes
        if trainer.world_size > 1:
            stop, overdue = self._agree(trainer, stop, overdue)
        if stop or overdue:
            self.save_last(trainer)
        if stop:
            self.leave(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the best network."""
        metrics = {
            name.removeprefix("val_"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val_")
        }
        name = self.monitor.removeprefix("val_")
        rank = (metrics[name], -metrics["loss"])
        if not self.best or rank > (self.best[name], -self.best["loss"]):
            self.best, self.best_epoch = metrics, trainer.current_epoch
            self.write_model(trainer, pl_module, "best.safetensors", metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, and stop if that was asked for."""
        del pl_module
        self._last_step = trainer.global_step
        self.save_last(trainer)
        finished = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if self._anyone(trainer, self.stop.signal_number is not None) and not finished:
            self.leave(trainer)

    def write_model(
        self, trainer: Trainer, pl_module: LightningModule, name: str, metrics: dict[str, float]
    ) -> None:
        """Write the validated network with its card."""
        assert isinstance(pl_module, ClassificationModule)
        model = whole_network(pl_module.evaluated_model)
        if trainer.is_global_zero:
            training = {**self.card.training, "epoch": trainer.current_epoch, "step": trainer.global_step}
            card = dataclasses.replace(self.card, metrics=metrics, training=training)
            save_checkpoint(self.output / name, model, card)

    def save_last(self, trainer: Trainer) -> None:
        """Write last.ckpt, so that there is a whole one at any time."""
        last = self.output / "last.ckpt"
        if trainer.is_global_zero:
            with whole_file(last) as beside:
                trainer.save_checkpoint(beside)
        else:
            trainer.save_checkpoint(last)  # all take part, the first process alone writes
        trainer.strategy.barrier()
        self._saved_at = time.monotonic()

    def leave(self, trainer: Trainer) -> None:
        """End the run; all it needs to go on is saved."""
        if trainer.is_global_zero:
            print(f"stopped at step {trainer.global_step}; go on with --resume true", flush=True)
        raise Interrupted(self.stop.signal_number or 15)

    def _agree(self, trainer: Trainer, stop: bool, overdue: bool) -> tuple[bool, bool]:
        """What any device wants, and when to ask again: by the slowest device's clock, at the same step on all."""
        now, steps = time.monotonic(), max(1, trainer.global_step - self._agreed_step)
        wanted = torch.tensor([float(stop), float(overdue), (now - self._agreed_at) / steps])
        wanted = trainer.strategy.reduce(wanted.to(trainer.strategy.root_device), reduce_op="max")
        stop_all, overdue_all, seconds = wanted.tolist()
        pause = max(
            1, min(MOST_STEPS_BETWEEN_AGREEMENTS, int(SECONDS_BETWEEN_AGREEMENTS / max(seconds, 1e-6)))
        )
        self._agreed_at, self._agreed_step = now, trainer.global_step
        self._agree_again = trainer.global_step + pause
        return bool(stop_all), bool(overdue_all)

    def _anyone(self, trainer: Trainer, decision: bool) -> bool:
        return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))
