"""Event relevance: how sure the matching is of each segment, and how wrong that is (slides on DAM, eq. 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def log_mean_sigmoid(logits: Sequence[Float[Tensor, "B N"]]) -> Float[Tensor, "B N"]:
    """Log of the mean of the sigmoids: log p_t, finite where the sigmoids themselves round to 0.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.relevance import log_mean_sigmoid
        >>> log_mean_sigmoid([torch.tensor([[0.0]]), torch.tensor([[0.0]])]).exp()
        tensor([[0.5000]])
    """
    return torch.stack([functional.logsigmoid(_wide(z)) for z in logits]).logsumexp(0) - math.log(len(logits))


def mean_relevance(logits: Sequence[Float[Tensor, "B N"]]) -> Float[Tensor, "B N"]:
    """p_t = (p_t^A + p_t^V) / 2, from the log-odds of each.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.relevance import mean_relevance
        >>> mean_relevance([torch.tensor([[0.0]]), torch.tensor([[100.0]])])
        tensor([[0.7500]])
    """
    return torch.stack([_wide(z).sigmoid() for z in logits]).mean(0)


def relevance_loss(
    logits: Sequence[Float[Tensor, "B N"]],
    relevant: Bool[Tensor, "B N"],
    mask: Bool[Tensor, "B N"],
    *,
    each: bool = False,
) -> Float[Tensor, ""]:
    """Binary cross-entropy between the relevance and T_E, the mean over all segments that there are.

    Args:
        logits: log-odds of the directions: p_t^A and p_t^V, or one of them.
        relevant: T_E.
        mask: the segments that there are.
        each: of p_t^A and of p_t^V, and the mean of both losses, instead of the loss of their mean p_t.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.relevance import relevance_loss
        >>> yes = torch.tensor([[True]])
        >>> relevance_loss([torch.tensor([[0.0]]), torch.tensor([[0.0]])], yes, yes)
        tensor(0.6931)
    """
    if each:
        losses = [relevance_loss([z], relevant, mask) for z in logits]
        return torch.stack(losses).mean()
    loss = torch.where(relevant, -log_mean_sigmoid(logits), -log_mean_sigmoid([-z for z in logits]))
    return (loss * mask).sum() / mask.sum()


def _wide(logits: Tensor) -> Tensor:
    """At least float32: what a mixed-precision forward hands over has too few digits for a loss."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
