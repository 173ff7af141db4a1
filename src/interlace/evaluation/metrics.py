"""The field's numbers, in percent, from all clips at once: nothing here depends on batches.

Equal scores: of two classes with the same score the one that stands first in the class list ranks first, so
the numbers repeat on every machine. Average precision treats equal scores as one threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_average_precision,
    multiclass_confusion_matrix,
    multiclass_stat_scores,
)


def ranks(scores: Float[Tensor, "N K"]) -> Int[Tensor, "N K"]:
    """Place of every class, 0 for the best; equal scores in the order of the class list.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import ranks
        >>> ranks(torch.tensor([[0.2, 0.5, 0.2, 0.1]])).tolist()
        [[1, 0, 2, 3]]
    """
    return scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)


def topk_accuracy(scores: Float[Tensor, "N K"], labels: Int[Tensor, " N"], k: int = 1) -> float:
    """Percentage of clips whose true class is among the best ``k``; with fewer classes, among all of them.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import topk_accuracy
        >>> scores = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
        >>> topk_accuracy(scores, torch.tensor([0, 1])), topk_accuracy(scores, torch.tensor([0, 1]), k=2)
        (50.0, 100.0)
    """
    num_clips, num_classes = scores.shape
    distinct = -ranks(scores).double()  # torchmetrics leaves the order of equal scores open
    k = min(k, num_classes)
    hits = multiclass_stat_scores(distinct, labels, num_classes=num_classes, top_k=k, average="micro")[0]
    return 100 * hits.item() / num_clips  # its own accuracy is the same, in float32


def confusion(
    scores: Float[Tensor, "N K"] | Int[Tensor, " N"], labels: Int[Tensor, " N"], num_classes: int
) -> Int[Tensor, "K K"]:
    """Counts of clips: row = true class, column = predicted class. Takes scores, or the predicted classes.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import confusion
        >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), num_classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    predicted = ranks(scores).argmin(dim=1) if scores.ndim == 2 else scores
    return multiclass_confusion_matrix(predicted, labels, num_classes=num_classes)


def class_accuracy(counts: Int[Tensor, "K K"]) -> Float[Tensor, " K"]:
    """Percentage of each class's clips that were recognised, NaN for a class without clips.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import class_accuracy
        >>> class_accuracy(torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 2]])).tolist()
        [75.0, nan, 100.0]
    """
    return 100 * counts.diag().double() / counts.sum(dim=1)


def mean_class_accuracy(counts: Int[Tensor, "K K"]) -> float:
    """Mean of the accuracies of the classes; a class without clips is left out, not counted as zero.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import mean_class_accuracy
        >>> mean_class_accuracy(torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 2]]))
        87.5
    """
    return class_accuracy(counts).nanmean().item()


def average_precisions(scores: Float[Tensor, "N K"], targets: Bool[Tensor, "N K"]) -> Float[Tensor, " K"]:
    """Average precision of each class in percent: the area under its precision-recall steps.

    NaN for a class without positives. Scores lie between 0 and 1.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import average_precisions
        >>> scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
        >>> targets = torch.tensor([[True, False], [False, False], [True, False]])
        >>> [round(value, 2) for value in average_precisions(scores, targets).tolist()]
        [83.33, nan]
    """
    precisions = [
        binary_average_precision(column, target.long()).item() if target.any() else float("nan")
        for column, target in zip(scores.T, targets.T, strict=True)
    ]
    return 100 * torch.tensor(precisions, dtype=torch.float64)


def mean_average_precision(scores: Float[Tensor, "N K"], targets: Bool[Tensor, "N K"]) -> float:
    """Mean over the classes of their average precision in percent; classes without positives are left out.

    Example:
        >>> import torch
        >>> from interlace.evaluation.metrics import mean_average_precision
        >>> scores = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> mean_average_precision(scores, torch.tensor([[True, False], [False, True]]))
        100.0
    """
    return average_precisions(scores, targets).nanmean().item()


def multi_hot(labels: Sequence[Sequence[int]], num_classes: int) -> Bool[Tensor, "N K"]:
    """The labels of clips with any number of classes each as a table of true and false.

    Example:
        >>> from interlace.evaluation.metrics import multi_hot
        >>> multi_hot([(0, 2), ()], num_classes=3).tolist()
        [[True, False, True], [False, False, False]]
    """
    targets = torch.zeros(len(labels), num_classes, dtype=torch.bool)
    for row, classes in zip(targets, labels, strict=True):
        row[list(classes)] = True
    return targets
