"""Which clips are in the network, for an error that does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from interlace.data.annotations import Annotations
from interlace.data.out_of_memory import naming_clips


class CurrentBatch(Callback):
    """Remembers the clips of the batch in hand.

    Args:
        train: training clips.
        val: validation clips.
    """

    def __init__(self, *, train: Annotations, val: Annotations) -> None:
        self.train = train
        self.val = val
        self._clips: Annotations | None = None
        self._places: Any = None

    @contextmanager
    def named_where_memory_ends(self) -> Iterator[None]:
        """Name the batch in the error of a step for which there is no memory.

        Raises:
            OutOfMemoryError: in place of the allocator's error.
        """
        with naming_clips(self.paths, "in training or validation"):
            yield

    def paths(self) -> list[Path]:
        """The clips in hand; none between two batches."""
        if self._clips is None:
            return []
        return [self._clips.samples[place].path for place in self._places.tolist()]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the batch's."""
        del trainer, pl_module, batch_idx
        self._clips, self._places = self.train, batch["index"]

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's."""
        del trainer, pl_module, batch_idx, dataloader_idx
        self._clips, self._places = self.val, batch["index"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Forget them."""
        del trainer, pl_module, outputs, batch, batch_idx
        self._clips = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Forget them."""
        del trainer, pl_module, outputs, batch, batch_idx, dataloader_idx
        self._clips = None
