"""Which sound and which picture are of the same second: what the global features of DAM cannot tell."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class LocalMatching(nn.Module):
    """Log-odds that a segment of sound and one of picture are of the same moment of the event.

    ``(W_a f_n^A) . (W_v f_m^V) / sqrt(width) + b``. Not in the slides: DAM compares a segment with the mean of the
    whole query, whose order is lost in it; AVDLN (Tian et al., ECCV 2018) compares each with its own partner.

    Args:
        width: numbers in an encoded segment.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.local_matching import LocalMatching
        >>> LocalMatching(8)(torch.rand(2, 5, 8), torch.rand(2, 5, 8)).shape
        torch.Size([2, 5, 5])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map_audio = nn.Linear(width, width)
        self.map_visual = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(()))
        self.scale = width**-0.5

    def forward(
        self, audio: Float[Tensor, "B N W"], visual: Float[Tensor, "B M W"]
    ) -> Float[Tensor, "B N M"]:
        """Of every segment of sound with every segment of picture."""
        return self.scale * self.map_audio(audio) @ self.map_visual(visual).transpose(1, 2) + self.bias


def partners_loss(
    log_odds: Float[Tensor, "B N N"], relevant: Bool[Tensor, "B N"], mask: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy: 1 for the same second of the event, 0 for any two of which one is background.

    Two different seconds of the event are left out: they may well fit each other.
    """
    event = relevant & mask
    together = torch.diag_embed(event)
    apart = mask[:, :, None] & mask[:, None] & ~(event[:, :, None] & event[:, None])
    log_odds = log_odds.to(torch.promote_types(log_odds.dtype, torch.float32))
    loss = functional.binary_cross_entropy_with_logits(log_odds, together.to(log_odds), reduction="none")
    # Both kinds count alike: there are far more pairs that do not belong together.
    of_partners = (loss * together).sum() / together.sum().clamp(min=1)
    of_others = (loss * apart).sum() / apart.sum().clamp(min=1)
    return (of_partners + of_others) / 2
