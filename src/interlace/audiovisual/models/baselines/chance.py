"""What one gets without looking or listening."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.audiovisual.models.cml import CrossModalNetwork, Query
from interlace.audiovisual.models.localization import Localization
from interlace.audiovisual.timelines.timeline import Batch, Timeline


class ChanceLocalizer(nn.Module):
    """Every segment gets the most frequent label of the training segments, background among them.

    Args:
        audio_features: not used.
        visual_features: not used.
        num_events: events without background (K).

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.baselines import ChanceLocalizer
        >>> bark = Timeline("bark", torch.rand(4, 3), torch.rand(4, 1, 5), 1, torch.tensor([0, 1, 1, 1]).bool())
        >>> network = ChanceLocalizer(audio_features=3, visual_features=5, num_events=2)
        >>> network.fit([bark])
        >>> network.localize(collate([bark])).labels
        tensor([[1, 1, 1, 1]])
    """

    counts: Tensor

    def __init__(self, *, audio_features: int, visual_features: int, num_events: int) -> None:
        super().__init__()
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
        }
        self.num_events = num_events
        self.register_buffer("counts", torch.zeros(num_events + 1, dtype=torch.int64))

    def fit(self, timelines: Iterable[Timeline]) -> None:
        """Count the labels."""
        self.counts.zero_()
        for timeline in timelines:
            num_relevant = int(timeline.relevant.sum())
            self.counts[self.num_events] += timeline.num_segments - num_relevant
            if num_relevant:
                self.counts[timeline.event] += num_relevant

    @torch.no_grad()
    def localize(self, batch: Batch) -> Localization:
        """The same for every video."""
        events = self.counts[:-1].float()
        total = events.sum()
        scores = events / total if total > 0 else torch.full_like(events, 1 / len(events))
        share = total / self.counts.sum().clamp(min=1)
        return Localization(
            labels=torch.where(batch.mask, self.counts.argmax(), self.num_events),
            event_scores=scores.expand(len(batch.mask), -1),
            relevance=batch.mask * share,
        )


class ChanceMatcher(CrossModalNetwork):
    """A start drawn evenly from all that are possible: its hits are the exact probability, not a draw.

    Args:
        audio_features: not used.
        visual_features: not used.
        num_events: not used.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.baselines import ChanceMatcher
        >>> bark = Timeline("bark", torch.rand(4, 3), torch.rand(4, 1, 5), 1, torch.tensor([0, 1, 1, 1]).bool())
        >>> ChanceMatcher(audio_features=3, visual_features=5, num_events=2).hits(collate([bark]), torch.tensor([0]))
        tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, *, audio_features: int, visual_features: int, num_events: int) -> None:
        super().__init__()
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
        }

    def fit(self, timelines: Iterable[Timeline]) -> None:
        """There is nothing to find out."""

    def relevance(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:  # noqa: ARG002
        """The same for all."""
        return torch.zeros_like(batch.mask, dtype=torch.float32)

    def hits(self, batch: Batch, starts: Tensor) -> Float[Tensor, " B"]:  # noqa: ARG002
        """1 / (N - l + 1)."""
        return 1 / (batch.mask.sum(1) - batch.relevant.sum(1) + 1).cpu().double()
