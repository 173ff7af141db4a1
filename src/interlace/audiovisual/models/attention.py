"""Scaled dot-product attention over the segments of a video, as in the appendix of the slides on DAM."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def attention(
    query: Float[Tensor, "B Q d"],
    key: Float[Tensor, "B N d"],
    value: Float[Tensor, "B N V"],
    mask: Bool[Tensor, "B N"] | None = None,
) -> Float[Tensor, "B Q V"]:
    """att(q, k, v) = softmax(q k^T / sqrt(d)) v, over the keys that the mask lets through.

    Args:
        query: what asks.
        key: what is compared with it.
        value: what is averaged.
        mask: True at the keys that count; None for all. A row that has none gets zeros.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.attention import attention
        >>> value = torch.tensor([[[1.0], [3.0], [100.0]]])
        >>> attention(torch.zeros(1, 1, 2), torch.zeros(1, 3, 2), value, torch.tensor([[True, True, False]]))
        tensor([[[2.]]])
    """
    scores = query @ key.transpose(1, 2) / math.sqrt(key.shape[2])
    if mask is None:
        return scores.softmax(2).to(value.dtype) @ value
    # The lowest finite number, not -inf: a row without any key must not become NaN, nor its gradient.
    weights = scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min).softmax(2) * mask[:, None]
    return weights.to(value.dtype) @ value


class SelfAttention(nn.Module):
    """self-att(x) = att(W_q x, W_k x, W_v x).

    Args:
        width: numbers in a feature (d).
        bias: the three maps have one; they have none in the slides.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.attention import SelfAttention
        >>> SelfAttention(8)(torch.rand(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, width: int, *, bias: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)

    def forward(
        self, x: Float[Tensor, "B N d"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N d"]:
        """Every segment asks all those that the mask lets through."""
        return attention(self.query(x), self.key(x), self.value(x), mask)


def masked_mean(x: Float[Tensor, "B N d"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B d"]:
    """The mean over the segments where the mask is True; zeros where it is True nowhere.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.attention import masked_mean
        >>> masked_mean(torch.tensor([[[1.0], [3.0], [100.0]]]), torch.tensor([[True, True, False]]))
        tensor([[2.]])
    """
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
