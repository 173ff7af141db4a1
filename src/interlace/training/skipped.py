"""Videos that could not be read: counted and listed, never passed over in silence."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch.distributed
from lightning.pytorch import Callback, LightningModule, Trainer

from interlace.data.annotations import Annotations


class SkippedClips(Callback):
    """Collects the clips that batches report as unreadable and lists them in a CSV file with their reasons.

    Args:
        path: the list, usually skipped.csv; written if there is something to list.
        train: training clips.
        val: validation clips.
    """

    def __init__(self, path: Path, *, train: Annotations, val: Annotations) -> None:
        self.path = path
        self.annotations = {"train": train, "val": val}
        self.found: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self.found)

    def __bool__(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Any]:
        """What was skipped so far."""
        return {"found": [[split, path, reason] for (split, path), reason in self.found.items()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with it."""
        self.found = {(split, path): reason for split, path, reason in state_dict["found"]}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the batch's."""
        del trainer, pl_module, outputs, batch_idx
        self.note("train", batch["errors"])

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's."""
        del trainer, pl_module, outputs, batch_idx, dataloader_idx
        self.note("val", batch["errors"])

    def note(self, split: str, errors: list[tuple[int, str]]) -> None:
        """Remember clips by their index in the split."""
        for index, reason in errors:
            self.found[split, str(self.annotations[split].samples[index].path)] = reason

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring the devices' findings together and write the list."""
        del pl_module
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(parts, self.found)
            self.found = {key: reason for part in parts for key, reason in part.items()}
        if self.found and trainer.is_global_zero:
            with self.path.open("w", newline="") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(["split", "path", "reason"])
                table.writerows([*key, reason] for key, reason in sorted(self.found.items()))
