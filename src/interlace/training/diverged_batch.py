"""The batch at which a run went wrong, as files: pixels to train on again, and names to look at."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from interlace.data.annotations import Annotations
from interlace.files import whole_file
from interlace.training.loss import Loss

REMEDY = (
    "look at the clips with the largest losses and their labels; lower the learning rate, warm up for more epochs, or "
    "clip the gradient, and start again in another folder: from the same settings the same loss comes again"
)


@dataclass(frozen=True, eq=False)
class DivergedBatch:
    """A batch as the network had it, and where in the run it was."""

    batch: dict[str, Any]
    outputs: dict[str, Tensor]
    """"mean_loss", "logits" (B, K) and "target" (B, K), mixed if the clips were."""
    split: Literal["train", "val"]
    epoch: int
    batch_number: int
    """In the epoch, from 1."""
    step: int
    """The update that the batch belongs to, from 1; in validation the last one."""
    learning_rate: float
    accumulated: list[Tensor]
    """Places of the clips of earlier batches whose gradients are in the same update."""


def write_batch(
    stem: Path,
    known: DivergedBatch,
    *,
    found: str,
    gradient_norm: float,
    annotations: Annotations,
    loss: Loss,
    seed: int,
    last_good: Path | None,
) -> None:
    """Write STEM.safetensors and STEM.json.

    The first has "clip" uint8 (B, T, C, S, S) as it was before mixing, "label", "index" (places in the annotations),
    "target" and "logits" (B, K) and "loss" (B); the second has the paths, the losses again, and where in the run it
    was.
    """
    tensors = {name: known.outputs[name].float() for name in ("logits", "target")}
    tensors["loss"] = torch.stack([loss(*row) for row in _rows(tensors["logits"], tensors["target"])])
    tensors |= {"label": known.batch["label"], "index": known.batch["index"]}
    tensors["clip"] = known.batch["clip"] if "clip" in known.batch else known.batch["views"][:, 0]
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(stem.with_name(f"{stem.name}.safetensors")) as beside:
        beside.write_bytes(save(tensors))
    paths = [str(annotations.samples[i].path) for i in tensors["index"].tolist()]
    earlier = torch.cat(known.accumulated).tolist() if known.accumulated else []
    about = {
        "found": found,
        "split": known.split,
        "epoch": known.epoch,
        "batch": known.batch_number,
        "step": known.step,
        "learning_rate": known.learning_rate,
        "seed": seed,
        "loss": _told(float(known.outputs["mean_loss"])),
        "gradient_norm": _told(gradient_norm),
        "clips": [
            {"path": path, "loss": _told(each)}
            for path, each in zip(paths, tensors["loss"].tolist(), strict=True)
        ],
        "earlier_clips_of_the_update": [str(annotations.samples[i].path) for i in earlier],
        "last_good_checkpoint": None if last_good is None else str(last_good),
        "remedy": REMEDY,
    }
    with whole_file(stem.with_name(f"{stem.name}.json")) as beside:
        beside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8", errors="surrogateescape")


def _rows(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return [tuple(tensor[i : i + 1] for tensor in tensors) for i in range(len(tensors[0]))]


def _told(number: float) -> float | str:
    """JSON has no word for what is no number."""
    return number if math.isfinite(number) else str(number)
