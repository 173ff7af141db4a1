"""Cross-modality localization by learned distances: the audio-visual distance learning network (AVDLN)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from interlace.audiovisual.models.aligned import aligned_sums
from interlace.audiovisual.models.attention import masked_mean
from interlace.audiovisual.models.cml import CrossModalNetwork, Query
from interlace.audiovisual.models.localization import check_features
from interlace.audiovisual.timelines.timeline import Batch


class DistanceMatcher(CrossModalNetwork):
    """Sound and picture of one second, each mapped by two layers, are near if they belong together (AVDLN).

    Tian et al., ECCV 2018, section 5: contrastive loss y d^2 + (1 - y) max(0, margin - d)^2 on pairs of one second of
    sound and one of picture; a window is as good as its segments are near to the query's, first to first, second to
    second. Audio-guided attention has no part in it, as in their code: the picture must not know the sound.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        num_events: not used: no category is learned. Here since all networks are built alike.
        hidden: numbers between the two layers; 128 in the paper's code.
        width: numbers in which distances are taken; 64 in the paper's code.
        margin: distance from which pairs that do not belong together are left alone; 2 in the paper's code.
        crossed: False has sound and picture of the same second, apart in the background (y = 0) and together in the
            event (y = 1), as in the paper's code. True has the event's seconds apart from background seconds of the
            same video instead: what is asked in the end.
        normalize: layer normalization of the features as they come in; the paper has none, see SegmentClassifier.
        aligned: False compares each segment of a window with all of the query instead of with its own partner.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.baselines import DistanceMatcher
        >>> bark = Timeline("bark", torch.rand(10, 128), torch.rand(10, 49, 512), 3, torch.arange(10) > 5)
        >>> network = DistanceMatcher(audio_features=128, visual_features=512, num_events=28)
        >>> network.starts(collate([bark]), "audio").shape
        torch.Size([1])
    """

    def __init__(
        self,
        *,
        audio_features: int,
        visual_features: int,
        num_events: int,
        hidden: int = 128,
        width: int = 64,
        margin: float = 2.0,
        crossed: bool = False,
        normalize: bool = True,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
            "hidden": hidden,
            "width": width,
            "margin": margin,
            "crossed": crossed,
            "normalize": normalize,
            "aligned": aligned,
        }
        self.margin = margin
        self.crossed = crossed
        self.aligned = aligned

        def embedding(features: int) -> nn.Sequential:
            norm = nn.LayerNorm(features) if normalize else nn.Identity()
            return nn.Sequential(
                norm, nn.Linear(features, hidden), nn.LeakyReLU(0.3), nn.Linear(hidden, width)
            )

        self.embed_audio = embedding(audio_features)
        self.embed_visual = embedding(visual_features)

    def forward(self, batch: Batch) -> Float[Tensor, "B N M"]:
        """The distance of every second of sound (N) from every second of picture (M)."""
        check_features(batch, self.builder_args["audio_features"], self.builder_args["visual_features"])
        audio, visual = self.embed_audio(batch.audio), self.embed_visual(batch.visual.mean(2))
        squares = (audio[:, :, None] - visual[:, None]).square().sum(3)
        return squares.clamp(min=1e-12).sqrt()  # the root has no gradient at 0

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Contrastive loss of the pairs."""
        distance = self(batch)
        distance = distance.to(torch.promote_types(distance.dtype, torch.float32))
        event, background = batch.relevant, batch.mask & ~batch.relevant
        together = torch.diag_embed(event)
        crossed = event[:, :, None] & background[:, None] | background[:, :, None] & event[:, None]
        apart = crossed if self.crossed else torch.diag_embed(background)
        loss = distance.square() * together + (self.margin - distance).clamp(min=0).square() * apart
        return loss.sum() / (together.sum() + apart.sum()).clamp(min=1)

    def relevance(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """Minus the mean distance from the segments of the query."""
        return masked_mean(self._nearness(batch, query), batch.relevant)

    def window_scores(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """Minus the summed distance of each window from the query, first to first."""
        if not self.aligned:
            return super().window_scores(batch, query)
        return aligned_sums(self._nearness(batch, query), batch.relevant)

    def _nearness(self, batch: Batch, query: Query) -> Float[Tensor, "B N M"]:
        """Of the query's modality (N) and the other (M)."""
        distance = self(batch)
        return -distance if query == "audio" else -distance.transpose(1, 2)
