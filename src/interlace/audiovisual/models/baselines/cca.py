"""Canonical correlation analysis: the linear maps under which sound and picture of an event agree best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from interlace.audiovisual.models.aligned import aligned_sums
from interlace.audiovisual.models.attention import masked_mean
from interlace.audiovisual.models.cml import CrossModalNetwork, Query
from interlace.audiovisual.models.localization import check_features
from interlace.audiovisual.timelines.timeline import Batch, Timeline


class CorrelationMatcher(CrossModalNetwork):
    """Regularized linear CCA in closed form: the linear form of DCCA (Andrew et al., ICML 2013).

    Pairs are the sound and the picture (mean over the places) of each second of an event. Segments are compared by
    the cosine of what the maps make of them, a window first to first with the query.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        num_events: not used: no category is learned. Here since all networks are built alike.
        width: canonical pairs that are kept, at most the smaller of A and D; 16.
        ridge: share of the mean variance that is added to every variance; without, few pairs in many numbers
            agree perfectly by accident. 1: of 0.1 and 1, and of 16 and 64 pairs, the best on validation on composed
            timelines of spoken letters.
        aligned: False compares each segment of a window with all of the query instead of with its own partner.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline
        >>> from interlace.audiovisual.models.baselines import CorrelationMatcher
        >>> sound = torch.randn(50, 3)
        >>> seen = torch.cat([sound[:, :1] * 2, torch.randn(50, 4)], 1)[:, None]
        >>> network = CorrelationMatcher(audio_features=3, visual_features=5, num_events=1, width=1, ridge=0.0)
        >>> network.fit([Timeline("x", sound, seen, 0, torch.ones(50).bool())])
        >>> round(network.correlations.item(), 3)
        1.0
    """

    audio_mean: Tensor
    visual_mean: Tensor
    audio_map: Tensor
    visual_map: Tensor
    correlations: Tensor

    def __init__(
        self,
        *,
        audio_features: int,
        visual_features: int,
        num_events: int,
        width: int = 16,
        ridge: float = 1.0,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        if ridge < 0:
            raise ValueError(f"ridge={ridge}: it is a share of the variance, 0 or more")
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
            "width": width,
            "ridge": ridge,
            "aligned": aligned,
        }
        width = min(width, audio_features, visual_features)
        self.ridge = ridge
        self.aligned = aligned
        self.register_buffer("audio_mean", torch.zeros(audio_features))
        self.register_buffer("visual_mean", torch.zeros(visual_features))
        self.register_buffer("audio_map", torch.zeros(audio_features, width))
        self.register_buffer("visual_map", torch.zeros(visual_features, width))
        self.register_buffer("correlations", torch.zeros(width))

    def fit(self, timelines: Iterable[Timeline]) -> None:
        """Find the maps.

        Raises:
            ValueError: fewer than two seconds have an event.
        """
        rows = [(t.audio[t.relevant], t.visual[t.relevant].double().mean(1)) for t in timelines]
        audio = torch.cat([pair[0] for pair in rows]).double() if rows else torch.zeros(0, 0)
        if len(audio) < 2:
            raise ValueError(
                f"{len(audio)} seconds with an event; canonical correlation needs two at least, and many more to "
                "mean anything"
            )
        visual = torch.cat([pair[1] for pair in rows]).double()
        audio_mean, visual_mean = audio.mean(0), visual.mean(0)
        audio, visual = audio - audio_mean, visual - visual_mean
        white_audio, white_visual = _whitening(audio, self.ridge), _whitening(visual, self.ridge)
        agreement = white_audio @ (audio.T @ visual / len(audio)) @ white_visual
        left, correlations, right = torch.linalg.svd(agreement, full_matrices=False)
        width = len(self.correlations)
        self.audio_mean.copy_(audio_mean)
        self.visual_mean.copy_(visual_mean)
        self.audio_map.copy_(white_audio @ left[:, :width])
        self.visual_map.copy_(white_visual @ right[:width].T)
        self.correlations.copy_(correlations[:width])

    def forward(self, batch: Batch) -> Float[Tensor, "B N M"]:
        """The cosine of every second of sound (N) and every second of picture (M)."""
        check_features(batch, self.builder_args["audio_features"], self.builder_args["visual_features"])
        audio = (batch.audio - self.audio_mean) @ self.audio_map
        visual = (batch.visual.mean(2) - self.visual_mean) @ self.visual_map
        return functional.normalize(audio, dim=2) @ functional.normalize(visual, dim=2).transpose(1, 2)

    def relevance(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """The mean cosine with the segments of the query."""
        return masked_mean(self._similarity(batch, query), batch.relevant)

    def window_scores(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """The summed cosine of each window with the query, first to first."""
        if not self.aligned:
            return super().window_scores(batch, query)
        return aligned_sums(self._similarity(batch, query), batch.relevant)

    def _similarity(self, batch: Batch, query: Query) -> Float[Tensor, "B N M"]:
        return self(batch) if query == "audio" else self(batch).transpose(1, 2)


def _whitening(rows: Float[Tensor, "R F"], ridge: float) -> Float[Tensor, "F F"]:
    """The inverse root of the covariance with its ridge; directions without any variance are left out."""
    covariance = rows.T @ rows / len(rows)
    covariance = covariance + ridge * covariance.diagonal().mean() * torch.eye(
        len(covariance), dtype=rows.dtype
    )
    variance, direction = torch.linalg.eigh(covariance)
    is_real = variance > variance[-1] * 1e-10
    root = torch.where(is_real, variance.clamp(min=1e-300).rsqrt(), 0.0)
    return direction * root @ direction.T
