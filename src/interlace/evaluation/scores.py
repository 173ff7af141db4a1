"""The scores of all clips, and what is computed from them: everything after the network, nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interlace.data.annotations import Sample
from interlace.evaluation import metrics


@dataclass(frozen=True, eq=False)
class Scores:
    """Probabilities of the clips that were scored, in the order of the annotations.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Sample
        >>> from interlace.evaluation.scores import Scores
        >>> clips = (Sample(Path("a.mp4"), (0,)), Sample(Path("b.mp4"), (1,)))
        >>> scores = Scores(clips, ("run", "walk"), torch.tensor([[0.9, 0.1], [0.8, 0.2]]))
        >>> scores.measure()["top1"]
        50.0
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    probabilities: Float[Tensor, "N K"]
    multi_label: bool = False

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """True class of each clip; of a multi-label clip the first one."""
        return torch.tensor([sample.labels[0] for sample in self.samples], dtype=torch.long)

    @property
    def targets(self) -> Bool[Tensor, "N K"]:
        """True classes of each clip as a table."""
        return metrics.multi_hot([sample.labels for sample in self.samples], len(self.classes))

    @property
    def predicted(self) -> Int[Tensor, " N"]:
        """Best class of each clip."""
        return metrics.ranks(self.probabilities).argmin(dim=1)

    @property
    def correct(self) -> Bool[Tensor, " N"]:
        """Whether the best class is a true one."""
        return self.targets.gather(1, self.predicted[:, None])[:, 0]

    @property
    def confusion(self) -> Int[Tensor, "K K"]:
        """Counts by true and predicted class (single label only)."""
        return metrics.confusion(self.predicted, self.labels, len(self.classes))

    def measure(self) -> dict[str, float]:
        """The metrics in percent: top1, top5, mean_class_accuracy; for multi-label mAP."""
        if self.multi_label:
            return {"mAP": metrics.mean_average_precision(self.probabilities, self.targets)}
        return {
            "top1": metrics.topk_accuracy(self.probabilities, self.labels, 1),
            "top5": metrics.topk_accuracy(self.probabilities, self.labels, 5),
            "mean_class_accuracy": metrics.mean_class_accuracy(self.confusion),
        }

    def notes(self) -> list[str]:
        """What must be known to read the metrics rightly, a sentence each."""
        notes = []
        num_classes = len(self.classes)
        if num_classes < 5 and not self.multi_label:
            notes.append(f"There are {num_classes} classes, so top5 is top{num_classes}: always 100 %.")
        empty = [self.classes[i] for i, count in enumerate(self.targets.sum(dim=0).tolist()) if count == 0]
        if empty:
            number = "mAP" if self.multi_label else "mean_class_accuracy"
            names = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
            notes.append(f"{len(empty)} classes have no clip and are left out of {number}: {names}.")
        return notes


def combine(members: Sequence[Float[Tensor, "N K"]], weights: Sequence[float | int]) -> Float[Tensor, "N K"]:
    """Weighted mean of the scores of an ensemble's members.

    Example:
        >>> import torch
        >>> from interlace.evaluation.scores import combine
        >>> combine([torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])], weights=[3, 1]).tolist()
        [[0.75, 0.25]]
    """
    total = sum(weights)
    return torch.stack(
        [score * (weight / total) for score, weight in zip(members, weights, strict=True)]
    ).sum(0)
