"""What is minimised, for one label a clip and for several."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits and target rows (B, K) to a number."""


def soft_targets(label: Shaped[Tensor, "B ..."], num_classes: int) -> Float[Tensor, "B num_classes"]:
    """Class numbers as rows with a one; rows that are multi-hot already stay as they are.

    Example:
        >>> import torch
        >>> from interlace.training.loss import soft_targets
        >>> soft_targets(torch.tensor([2]), 3)
        tensor([[0., 0., 1.]])
    """
    return F.one_hot(label, num_classes).float() if label.ndim == 1 else label.float()


def classification_loss(
    logits: Float[Tensor, "B K"],
    target: Float[Tensor, "B K"],
    *,
    multi_label: bool = False,
    label_smoothing: float = 0.0,
    class_weights: Float[Tensor, " K"] | None = None,
) -> Float[Tensor, ""]:
    """Cross entropy, or binary cross entropy where a clip can have several labels; the mean over the clips.

    The mean is over clips and not over the sum of their weights, so it does not depend on which clips share a
    batch.

    Example:
        >>> import torch
        >>> from interlace.training.loss import classification_loss
        >>> classification_loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
        tensor(0.6931)
    """
    logits = logits.float()  # 16 bits are too few for the logarithm
    weights = None if class_weights is None else class_weights.to(logits.device, non_blocking=True)
    if not multi_label:
        return F.cross_entropy(logits, target, weight=weights, label_smoothing=label_smoothing)
    target = target * (1 - label_smoothing) + label_smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, target, weight=weights)


def diverged(found: str, epoch: int) -> ValueError:
    """The error of a run that has come off the rails.

    Args:
        found: what was seen.
        epoch: counted from 0.

    Example:
        >>> from interlace.training.loss import diverged
        >>> print(diverged("the training loss is nan", epoch=0))
        the training loss is nan in epoch 1; lower --lr, or use more optim.warmup_epochs, and start again
    """
    return ValueError(
        f"{found} in epoch {epoch + 1}; lower --lr, or use more optim.warmup_epochs, and start again"
    )


def balanced_class_weights(counts: list[int]) -> Float[Tensor, " K"]:
    """Weights with which every class counts the same and the mean over the clips is one.

    Example:
        >>> from interlace.training.loss import balanced_class_weights
        >>> balanced_class_weights([30, 10])
        tensor([0.6667, 2.0000])
    """
    total, present = sum(counts), sum(count > 0 for count in counts)
    return torch.tensor([total / (present * count) if count else 0.0 for count in counts])
