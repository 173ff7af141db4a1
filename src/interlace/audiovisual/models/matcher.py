"""Cross-modality localization (CML) by dual attention matching: DAM alone, with the query's region given."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from interlace.audiovisual.models.aligned import aligned_sums
from interlace.audiovisual.models.cml import CrossModalNetwork, Query, window_sums
from interlace.audiovisual.models.dam import DualAttentionMatching, Matching
from interlace.audiovisual.models.local_matching import LocalMatching, partners_loss
from interlace.audiovisual.models.localization import check_features
from interlace.audiovisual.models.relevance import relevance_loss
from interlace.audiovisual.timelines.timeline import Batch


class CrossModalMatcher(CrossModalNetwork):
    """DAM for CML: the global feature over the query's region scores every segment of the other modality.

    The encoders look at one segment alone: neither position nor neighbors enter, so that the place of a query says
    nothing of where its match is; and there is no ``cross``: a modality's own region is what is asked.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        num_events: not used: no category is learned. Here since all networks are built alike.
        each: the loss of p_t^A and of p_t^V instead of that of their mean, see
            :func:`interlace.audiovisual.models.relevance.relevance_loss`.
        local: each segment of a window is also compared with its own partner in the query, see
            :class:`interlace.audiovisual.models.local_matching.LocalMatching`. Not in the slides.
        relevance_weight: what the relevance counts beside the partners, where there are any. Of 0, 0.1, 0.25, 0.5, 1
            and 2 the best on validation on composed timelines of spoken letters (three seeds).
        region: False takes the global features over all segments: without attention to the event region.
        guided: audio-guided attention over the places. False by default, against the paper: it would let the sound
            of each second into the picture of that second, which is searched with that very sound (A2V), and the
            query's picture would hold the sound that is searched (V2A).
        width, dropout, normalize, self_attention, scale, bias: see
            :class:`interlace.audiovisual.models.dam.DualAttentionMatching`.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.matcher import CrossModalMatcher
        >>> bark = Timeline("bark", torch.rand(10, 128), torch.rand(10, 49, 512), 3, torch.arange(10) > 5)
        >>> matcher = CrossModalMatcher(audio_features=128, visual_features=512, num_events=28)
        >>> matcher.relevance(collate([bark]), "audio").shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        *,
        audio_features: int,
        visual_features: int,
        num_events: int,
        each: bool = False,
        region: bool = True,
        local: bool = False,
        relevance_weight: float = 0.25,
        width: int = 256,
        dropout: float = 0.5,
        normalize: bool = True,
        guided: bool = False,
        self_attention: bool = True,
        scale: float | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        matching: dict[str, Any] = {
            "width": width,
            "dropout": dropout,
            "normalize": normalize,
            "guided": guided,
            "self_attention": self_attention,
            "scale": scale,
            "bias": bias,
        }
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
            "each": each,
            "region": region,
            "local": local,
            "relevance_weight": relevance_weight,
            **matching,
        }
        self.each = each
        self.region = region
        self.partners = LocalMatching(width) if local else None
        self.relevance_weight = relevance_weight
        self.matching = DualAttentionMatching(audio_features, visual_features, **matching)

    def forward(self, batch: Batch) -> Matching:
        """The matching with the global features of T_E."""
        check_features(batch, self.builder_args["audio_features"], self.builder_args["visual_features"])
        region = batch.relevant if self.region else batch.mask
        return self.matching(batch.audio, batch.visual, region, batch.mask)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Binary cross-entropy of the relevance (eq. 5); with ``local`` the mean of it and of the partners' loss."""
        matching = self(batch)
        relevance = relevance_loss(matching.logits(), batch.relevant, batch.mask, each=self.each)
        if self.partners is None:
            return relevance
        log_odds = self.partners(matching.segment_audio, matching.segment_visual)
        return (relevance + partners_loss(log_odds, batch.relevant, batch.mask)) / 2

    def window_scores(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """The summed log-odds of the relevance; with ``local`` those of the partners and a share of the relevance's."""
        if self.partners is None:
            return super().window_scores(batch, query)
        matching = self(batch)
        relevance = matching.seen if query == "audio" else matching.heard
        pairs = self.partners(matching.segment_audio, matching.segment_visual)
        pairs = pairs if query == "audio" else pairs.transpose(1, 2)
        sums = window_sums(relevance, batch.relevant.sum(1))
        return self.relevance_weight * sums + aligned_sums(pairs, batch.relevant).to(sums)

    def relevance(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """Log-odds of the other modality's segments: of p_t^V for a query of sound, of p_t^A for one of picture."""
        matching = self(batch)
        return matching.seen if query == "audio" else matching.heard
