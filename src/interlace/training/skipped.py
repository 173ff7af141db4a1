"""Videos that could not be read, or not wholly: counted and listed, never passed over in silence."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from interlace.data.annotations import Annotations
from interlace.files import whole_file
from interlace.training.gathering import of_all_processes

Split = Literal["train", "val"]
MEANING = {"skipped": "could not be read", "damaged": "were read with stand-ins for damaged frames"}


class SkippedClips(Callback):
    """Collects the clips that batches report as unreadable or damaged, and lists them with their reasons.

    Args:
        path: the list, usually skipped.csv; written if there is something to list.
        train: training clips.
        val: validation clips.
    """

    def __init__(self, path: Path, *, train: Annotations, val: Annotations) -> None:
        self.path = path
        self.annotations: dict[Split, Annotations] = {"train": train, "val": val}
        self.found: dict[tuple[str, str, str], str] = {}
        """Reasons by split, kind and path."""

    def __str__(self) -> str:
        counts = {kind: sum(key[1] == kind for key in self.found) for kind in MEANING}
        return ", ".join(f"{count} clips {MEANING[kind]}" for kind, count in counts.items() if count)

    def state_dict(self) -> dict[str, Any]:
        """What was found so far, by all processes; each of them asks."""
        self.found = {key: reason for part in of_all_processes(self.found) for key, reason in part.items()}
        return {"found": [[*key, reason] for key, reason in self.found.items()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with it."""
        self.found = {(split, kind, path): reason for split, kind, path, reason in state_dict["found"]}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the batch's."""
        del trainer, pl_module, outputs, batch_idx
        self.note("train", batch)

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
        self.note("val", batch)

    def note(self, split: Split, batch: dict[str, Any]) -> None:
        """Remember clips by their paths."""
        samples = self.annotations[split].samples
        for kind, texts in (("skipped", batch["errors"]), ("damaged", batch["notes"])):
            for index, text in texts:
                self.found[split, kind, str(samples[index].path)] = text

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring the devices' findings together and write the list."""
        del pl_module
        self.found = {key: reason for part in of_all_processes(self.found) for key, reason in part.items()}
        if self.found and trainer.is_global_zero:
            text = io.StringIO()
            table = csv.writer(text, lineterminator="\n")
            table.writerow(["split", "kind", "path", "reason"])
            table.writerows([*key, reason] for key, reason in sorted(self.found.items()))
            with whole_file(self.path) as beside:
                beside.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")
