"""Supervised event localization (SEL) by dual attention matching: a category, and the segments that it is in."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.audiovisual.models.dam import DIRECTIONS, DualAttentionMatching, Matching
from interlace.audiovisual.models.localization import Localization, category_loss, check_features, padded_to
from interlace.audiovisual.models.relevance import mean_relevance, relevance_loss
from interlace.audiovisual.timelines.timeline import NO_EVENT, Batch


class EventLocalizer(nn.Module):
    """DAM for SEL: both global features attend over all segments; fused, they give the video's category.

    Segments whose relevance is below 0.5 are background, the others take the category.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        num_events: events without background (K).
        category_weight: share of the category's loss, the rest is that of the relevance; 0.5 in the paper. At 1 nothing
            teaches the relevance, at 0 nothing the category.
        direction: "both" for p_t = (p_t^A + p_t^V) / 2 (eq. 5); "heard" or "seen" for p_t^A or p_t^V alone.
        each: the loss of p_t^A and of p_t^V instead of that of their mean, see
            :func:`interlace.audiovisual.models.relevance.relevance_loss`.
        focus: the category is told segment by segment, and the video's is the mean over the segments, each as much as
            it is relevant (in training: over those of T_E, and each of them is to tell it too). False, as in the
            paper: it is told from the global features over all segments, in which background has its share.
        width: numbers in an encoded feature; published nowhere.
        hidden: numbers between the fused features and the category; 0 for a linear map.
        dropout, normalize, guided, self_attention, context, cross, scale, bias: see
            :class:`interlace.audiovisual.models.dam.DualAttentionMatching`.

    Raises:
        ValueError: a weight, a share or a name is not one.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.localizer import EventLocalizer
        >>> bark = Timeline("bark", torch.rand(10, 128), torch.rand(10, 49, 512), 3, torch.arange(10) > 5)
        >>> network = EventLocalizer(audio_features=128, visual_features=512, num_events=28).eval()
        >>> localization = network.localize(collate([bark]))
        >>> localization.labels.shape, localization.event_scores.shape
        (torch.Size([1, 10]), torch.Size([1, 28]))
    """

    def __init__(
        self,
        *,
        audio_features: int,
        visual_features: int,
        num_events: int,
        category_weight: float = 0.5,
        direction: str = "both",
        each: bool = False,
        focus: bool = False,
        hidden: int = 0,
        width: int = 64,
        dropout: float = 0.5,
        normalize: bool = True,
        guided: bool = True,
        self_attention: bool = True,
        context: str = "none",
        cross: bool = True,
        scale: float | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= category_weight <= 1:
            raise ValueError(f"category_weight={category_weight}: it is a share of the loss, from 0 to 1")
        if direction not in DIRECTIONS:
            raise ValueError(f"direction={direction!r}: it is one of {', '.join(DIRECTIONS)}")
        matching: dict[str, Any] = {
            "width": width,
            "dropout": dropout,
            "normalize": normalize,
            "guided": guided,
            "self_attention": self_attention,
            "context": context,
            "cross": cross,
            "scale": scale,
            "bias": bias,
        }
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
            "category_weight": category_weight,
            "direction": direction,
            "each": each,
            "focus": focus,
            "hidden": hidden,
            **matching,
        }
        self.num_events = num_events
        self.category_weight = category_weight
        self.direction = direction
        self.each = each
        self.focus = focus
        self.matching = DualAttentionMatching(audio_features, visual_features, **matching)
        self.classify = category_head(2 * width, hidden, num_events, dropout=dropout)

    def forward(self, batch: Batch) -> tuple[Matching, Float[Tensor, "B K"]]:
        """The matching with the global features of all segments, and the logits of the category."""
        matching = self._matched(batch)
        if not self.focus:
            return matching, self.classify(torch.cat([matching.global_audio, matching.global_visual], 1))
        relevance = mean_relevance(matching.logits(self.direction)) * batch.mask
        return matching, weighted_mean(self._segment_logits(matching), relevance)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """category_weight * category + (1 - category_weight) * relevance."""
        if self.focus:
            matching = self._matched(batch)
            logits = self._segment_logits(matching)
            category = focused_loss(logits, batch)
        else:
            matching, logits = self(batch)
            category = category_loss(logits, batch.event)
        relevance = relevance_loss(
            matching.logits(self.direction), batch.relevant, batch.mask, each=self.each
        )
        weight = self.category_weight
        return weight * category + (1 - weight) * relevance

    def _matched(self, batch: Batch) -> Matching:
        check_features(batch, self.builder_args["audio_features"], self.builder_args["visual_features"])
        return self.matching(batch.audio, batch.visual, batch.mask, batch.mask)

    def _segment_logits(self, matching: Matching) -> Float[Tensor, "B N K"]:
        return self.classify(torch.cat([matching.segment_audio, matching.segment_visual], 2))

    @torch.no_grad()
    def localize(self, batch: Batch) -> Localization:
        """Label every segment."""
        matching, category = self(batch)
        relevance = padded_to(batch.mask, mean_relevance(matching.logits(self.direction)), 0.0)
        return Localization(
            labels=torch.where(relevance >= 0.5, category.argmax(1, keepdim=True), self.num_events),
            event_scores=category.float().softmax(1),
            relevance=relevance,
            heard=padded_to(batch.mask, mean_relevance([matching.heard]), 0.0),
            seen=padded_to(batch.mask, mean_relevance([matching.seen]), 0.0),
        )


def category_head(features: int, hidden: int, num_events: int, *, dropout: float) -> nn.Sequential:
    """The fused features to the logits of the category."""
    if not hidden:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(features, num_events))
    return nn.Sequential(
        nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_events)
    )


def weighted_mean(logits: Float[Tensor, "B N K"], relevance: Float[Tensor, "B N"]) -> Float[Tensor, "B K"]:
    """The mean of the segments' logits, each as much as it is relevant."""
    weights = relevance / relevance.sum(1, keepdim=True).clamp(min=1e-6)  # all may be 0
    return (weights[..., None].to(logits.dtype) * logits).sum(1)


def focused_loss(logits: Float[Tensor, "B N K"], batch: Batch) -> Float[Tensor, ""]:
    """Cross-entropy of the category, told from the mean of the event's segments, and from each of them."""
    of_segments = torch.where(batch.relevant, batch.event[:, None], NO_EVENT)
    of_video = category_loss(weighted_mean(logits, batch.relevant.float()), batch.event)
    return (of_video + category_loss(logits.flatten(0, 1), of_segments.flatten())) / 2
