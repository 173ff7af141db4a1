"""Consensus: what the frames of a clip say, put together."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class AverageConsensus(nn.Module):
    """The mean over the frames of a clip (TSN, section 3.1); of logits, before the softmax.

    Example:
        >>> import torch
        >>> from interlace.temporal import AverageConsensus
        >>> AverageConsensus()(torch.zeros(2, 4, 5)).shape
        torch.Size([2, 5])
    """

    def forward(self, logits: Float[Tensor, "B T K"]) -> Float[Tensor, "B K"]:
        """(B, T, K) to (B, K)."""
        return logits.mean(1)
