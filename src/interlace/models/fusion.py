"""Late fusion: the logits of several networks become those of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Average = Literal["probabilities", "logits"]


def fuse(
    logits: Sequence[Float[Tensor, "B K"]],
    weights: Sequence[float | int],
    *,
    average: Average = "probabilities",
    multi_label: bool = False,
) -> Float[Tensor, "B K"]:
    """Logits whose probabilities are the weighted mean of those of the members; at least in float32.

        p = sum_i w_i softmax(l_i),    log p = logsumexp_i(log softmax(l_i) + log w_i)

    Args:
        logits: of each member.
        weights: of each member; only their proportions count.
        average: probabilities, or the logits themselves.
        multi_label: a probability is the sigmoid of its logit, and l = log p - log(1 - p).

    Source: released TIN averages probabilities; TSN (section 3.3) and released TSM average logits.

    Example:
        >>> import torch
        >>> from interlace.models.fusion import fuse
        >>> sure, unsure = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> fuse([sure, unsure], [3, 1]).softmax(1)
        tensor([[0.6875, 0.3125]])
    """
    logits = [one.to(torch.promote_types(one.dtype, torch.float32)) for one in logits]
    shares = [weight / sum(weights) for weight in weights]
    if average == "logits":
        return torch.stack([share * one for share, one in zip(shares, logits, strict=True)]).sum(0)
    if multi_label:
        # log sigmoid(l) = -softplus(-l); what exporters make of logsigmoid is infinite for l < -88.
        p, not_p = [-F.softplus(-one) for one in logits], [-F.softplus(one) for one in logits]
        return _log_of_mean(p, shares) - _log_of_mean(not_p, shares)
    return _log_of_mean([one.log_softmax(-1) for one in logits], shares)


def checked_weights(
    weights: Sequence[float | int] | None, num_members: int, what: str = "networks"
) -> list[float]:
    """The weights of an ensemble, all one if none are given.

    Raises:
        ValueError: not one weight each, a negative weight, or all zero.

    Example:
        >>> from interlace.models.fusion import checked_weights
        >>> checked_weights(None, 2)
        [1.0, 1.0]
    """
    shares = [1.0] * num_members if weights is None else [float(weight) for weight in weights]
    if len(shares) != num_members:
        raise ValueError(f"{len(shares)} weights for {num_members} {what}; give one for each")
    if not all(math.isfinite(share) and share >= 0 for share in shares) or sum(shares) == 0:
        raise ValueError(f"weights {shares}; they must not be negative, and not all zero")
    return shares


def _log_of_mean(logs: Sequence[Tensor], shares: Sequence[float]) -> Float[Tensor, "B K"]:
    """The logarithm of the weighted mean of numbers that are given by their logarithms."""
    weighted = [
        one + (math.log(share) if share else -math.inf) for one, share in zip(logs, shares, strict=True)
    ]
    return torch.stack(weighted).logsumexp(0)
