"""What a network of supervised event localization says, and what all of those have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from interlace.audiovisual.timelines.timeline import NO_EVENT, Batch


@dataclass(frozen=True)
class Localization:
    """The label of every segment, and how sure the network is."""

    labels: Tensor
    """int64 (B, N): index of the event; K where there is none, and where the batch was filled up."""
    event_scores: Float[Tensor, "B K"]
    """Probability of each event for the video as a whole; they sum to 1."""
    relevance: Float[Tensor, "B N"]
    """p_t: probability that the event is in the segment; 0 where the batch was filled up."""
    heard: Float[Tensor, "B N"] | None = None
    """p_t^A, of networks that have it."""
    seen: Float[Tensor, "B N"] | None = None
    """p_t^V, of networks that have it."""


def category_loss(logits: Float[Tensor, "B K"], event: Tensor) -> Float[Tensor, ""]:
    """Cross-entropy of the category, the mean over the videos that have one; 0 if none has.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.localization import category_loss
        >>> category_loss(torch.zeros(2, 4), torch.tensor([3, -1])).exp()
        tensor(4.)
    """
    loss = functional.cross_entropy(logits, event, ignore_index=NO_EVENT, reduction="sum")
    return loss / (event != NO_EVENT).sum().clamp(min=1)


def segment_loss(
    logits: Float[Tensor, "B N C"], labels: Tensor, mask: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the segments' labels (B, N), the mean over the segments that there are.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.localization import segment_loss
        >>> segment_loss(torch.zeros(1, 2, 4), torch.tensor([[3, 0]]), torch.tensor([[True, False]])).exp()
        tensor(4.)
    """
    loss = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return (loss * mask).sum() / mask.sum()


def check_features(batch: Batch, audio_features: int, visual_features: int) -> None:
    """The batch has the features that a network was built for.

    Raises:
        ValueError: it has others.
    """
    found = (batch.audio.shape[2], batch.visual.shape[3])
    if found != (audio_features, visual_features):
        raise ValueError(
            f"the timelines have {found[0]} numbers of sound and {found[1]} of picture a segment, the network was "
            f"built for {audio_features} and {visual_features}; use the features it was trained with, or train another"
        )


def padded_to(mask: Bool[Tensor, "B N"], values: Tensor, filling: float) -> Tensor:
    """The values where there are segments, the filling elsewhere."""
    return torch.where(mask, values, torch.full_like(values, filling))
