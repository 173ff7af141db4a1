"""Dual attention matching (Wu et al., ICCV 2019): what is heard must match what is seen, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from interlace.audiovisual.models.attention import SelfAttention, masked_mean
from interlace.audiovisual.models.guided_attention import GuidedAttention, MeanOfPlaces
from interlace.audiovisual.models.recurrent import SegmentContext

DIRECTIONS = ("both", "heard", "seen")
"""Which relevance counts: p_t^A and p_t^V, p_t^A alone, p_t^V alone."""
CONTEXTS = ("none", "own", "joint")
"""What an encoded segment knows of the others: nothing, its own modality, both."""


@dataclass(frozen=True)
class Matching:
    """What the module says of a batch."""

    heard: Float[Tensor, "B N"]
    """Log-odds of p_t^A: the sound of the segment against the global picture."""
    seen: Float[Tensor, "B N"]
    """Log-odds of p_t^V: the picture of the segment against the global sound."""
    global_audio: Float[Tensor, "B W"]
    """phi^A."""
    global_visual: Float[Tensor, "B W"]
    """phi^V."""
    segment_audio: Float[Tensor, "B N W"]
    """f_t^A."""
    segment_visual: Float[Tensor, "B N W"]
    """f_t^V."""

    def logits(self, direction: str = "both") -> list[Float[Tensor, "B N"]]:
        """The log-odds that count."""
        return {"both": [self.heard, self.seen], "heard": [self.heard], "seen": [self.seen]}[direction]


class DualAttentionMatching(nn.Module):
    """Global features of the event region (eq. 3, 4), each checked against the other modality's segments (eq. 5).

    What is not in the slides is said at the argument.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        width: numbers in an encoded feature; published nowhere.
        dropout: probability of dropping a number inside the encoders; published nowhere. 0.5 and 0.2 could not be told
            apart on composed timelines of spoken letters.
        normalize: layer normalization before and after the encoders. The slides have none; features come in
            any size, and so would the dot products.
        guided: audio-guided attention over the places (Tian et al., ECCV 2018); False for their plain mean.
        self_attention: False takes the mean of the region as it is.
        context: "own" puts an LSTM over the encoded segments of each modality, as AVEL before DAM has it; "joint" one
            over both modalities side by side, so that sound and picture of the same second meet before they are
            matched, as in the systems after DAM. The slides have neither ("none"). Not for CML: the edges of the
            video would tell where the query is, and "joint" its match.
        cross: False checks each modality against its own global feature: no matching across them.
        scale: factor of the dot products. 1 in the slides; None for 1 / sqrt(width), as inside the attention, so that
            normalized features of any width start where the sigmoid has a gradient.
        bias: a learned number added to the log-odds. The slides have none; without, a feature that has nothing to
            do with the event is at 0.5, not at 0.

    Raises:
        ValueError: a width below 1.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.dam import DualAttentionMatching
        >>> everywhere = torch.ones(2, 10, dtype=torch.bool)
        >>> audio, visual = torch.rand(2, 10, 128), torch.rand(2, 10, 49, 512)
        >>> matching = DualAttentionMatching(128, 512)(audio, visual, everywhere, everywhere)
        >>> matching.heard.shape, matching.global_audio.shape
        (torch.Size([2, 10]), torch.Size([2, 256]))
    """

    def __init__(
        self,
        audio_features: int,
        visual_features: int,
        *,
        width: int = 256,
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
        if width < 1:
            raise ValueError(f"width={width}: a feature has one number at least")
        if context not in CONTEXTS:
            raise ValueError(f"context={context!r}: it is one of {', '.join(CONTEXTS)}")
        self.look = GuidedAttention(audio_features, visual_features) if guided else MeanOfPlaces()
        self.encode_audio = segment_encoder(audio_features, width, dropout=dropout, normalize=normalize)
        self.encode_visual = segment_encoder(visual_features, width, dropout=dropout, normalize=normalize)
        self.context = context
        if context != "none":
            seen = 2 * width if context == "joint" else width
            self.context_audio = SegmentContext(width, seen)
            self.context_visual = SegmentContext(width, seen)
        self.attend_audio = SelfAttention(width) if self_attention else None
        self.attend_visual = SelfAttention(width) if self_attention else None
        self.cross = cross
        self.scale = width**-0.5 if scale is None else scale
        self.heard_bias = nn.Parameter(torch.zeros(())) if bias else None
        self.seen_bias = nn.Parameter(torch.zeros(())) if bias else None

    def forward(
        self,
        audio: Float[Tensor, "B N A"],
        visual: Float[Tensor, "B N P D"],
        region: Bool[Tensor, "B N"],
        mask: Bool[Tensor, "B N"],
    ) -> Matching:
        """Match every segment with the global features of the region: T_E, or all segments where it is unknown.

        Args:
            audio: rows of sound.
            visual: places of the picture.
            region: the segments that the global features are of.
            mask: the segments that there are.
        """
        segment_audio = self.encode_audio(audio)
        segment_visual = self.encode_visual(self.look(visual, audio))
        if self.context != "none":
            segment_audio, segment_visual = self._in_context(segment_audio, segment_visual, mask)
        global_audio = global_feature(segment_audio, region, self.attend_audio)
        global_visual = global_feature(segment_visual, region, self.attend_visual)
        against_audio, against_visual = (
            (global_visual, global_audio) if self.cross else (global_audio, global_visual)
        )
        return Matching(
            heard=self._log_odds(against_audio, segment_audio, self.heard_bias),
            seen=self._log_odds(against_visual, segment_visual, self.seen_bias),
            global_audio=global_audio,
            global_visual=global_visual,
            segment_audio=segment_audio,
            segment_visual=segment_visual,
        )

    def _in_context(self, audio: Tensor, visual: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([audio, visual], 2)
        beside_audio, beside_visual = (both, both) if self.context == "joint" else (audio, visual)
        return self.context_audio(audio, beside_audio, mask), self.context_visual(visual, beside_visual, mask)

    def _log_odds(self, whole: Tensor, segments: Tensor, bias: Tensor | None) -> Tensor:
        log_odds = self.scale * (segments @ whole.to(segments.dtype)[..., None]).squeeze(2)
        return log_odds if bias is None else log_odds + bias


def global_feature(
    segments: Float[Tensor, "B N W"], region: Bool[Tensor, "B N"], attend: SelfAttention | None
) -> Float[Tensor, "B W"]:
    """Phi = mean(self-att(F_E)), eq. 3 and 4; mean(F_E) without attention. Zeros where the region is empty."""
    return masked_mean(segments if attend is None else attend(segments, region), region)


def segment_encoder(features: int, width: int, *, dropout: float, normalize: bool) -> nn.Sequential:
    """Two linear maps with a ReLU between, for each segment by itself."""
    return nn.Sequential(
        nn.LayerNorm(features) if normalize else nn.Identity(),
        nn.Linear(features, width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.LayerNorm(width) if normalize else nn.Identity(),
    )
