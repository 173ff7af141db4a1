"""SIGTERM and Ctrl-C end a run after the step in hand, with a checkpoint."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from interlace.data.workers import hear_of_ended_workers


class Interrupted(SystemExit):
    """The run was asked to stop and has saved where it stands; the exit status is that of the signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


class StopOnSignal(Callback):
    """Remembers that the run was asked to stop; a second Ctrl-C stops it at once."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note who listens, before Lightning does."""
        del trainer, pl_module, stage
        hear_of_ended_workers()
        self._before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen; after Lightning, which would stop between two steps whose gradients belong together."""
        del trainer, pl_module
        for number in self._before:
            signal.signal(number, self._remember)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop listening; after an error Lightning does that."""
        del trainer, pl_module, stage
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal_number == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number
        # Not print: the signal may have come in the middle of one.
        os.write(2, f"\n{signal.Signals(number).name}: stopping after this step\n".encode())


class StopAfter(Callback):
    """Ends the run, validation included, after so many updates; -1 is no limit."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count."""
        del pl_module, outputs, batch, batch_idx
        trainer.should_stop |= 0 <= self.max_steps <= trainer.global_step
