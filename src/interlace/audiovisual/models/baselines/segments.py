"""Supervised event localization without matching: an LSTM for each modality, and a label for every segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.audiovisual.models.dam import segment_encoder
from interlace.audiovisual.models.guided_attention import GuidedAttention, MeanOfPlaces
from interlace.audiovisual.models.localization import Localization, check_features, padded_to, segment_loss
from interlace.audiovisual.models.recurrent import run_over
from interlace.audiovisual.timelines.timeline import Batch, segment_labels

MODALITIES = ("audio", "visual")


class SegmentClassifier(nn.Module):
    """Audio, visual, both, or both with audio-guided attention (Tian et al., ECCV 2018, sections 4.1 to 4.3).

    Each modality goes through its own bidirectional LSTM; what they say of a segment is put side by side and
    classified among the events and background. The fusion is the plain one, by concatenation: "Audio-visual" and
    "Audio-visual+Att" of the paper's tables, not its residual fusion (DMRN).

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        num_events: events without background (K).
        modalities: ("audio",), ("visual",) or both.
        guided: audio-guided attention over the places (AVEL) instead of their plain mean.
        width: numbers in an encoded feature before the LSTM: the encoders of DAM, so that the two differ in nothing but
            the matching; 0 for none, as in the paper's code.
        recurrent: numbers in a state of an LSTM, in each direction; 128 in the paper's code.
        hidden: numbers between the states and the label; 64 in the paper's code.
        dropout: probability of dropping a number of a state; the paper's code has none (0). 0.5
            as for DAM.
        normalize: layer normalization of the features as they come in; the paper has none. True by default, as for
            DAM, so that both start from the same numbers.

    Raises:
        ValueError: a modality is not known, or is guided by one that is not used.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.baselines import SegmentClassifier
        >>> bark = Timeline("bark", torch.rand(10, 128), torch.rand(10, 49, 512), 3, torch.arange(10) > 5)
        >>> network = SegmentClassifier(audio_features=128, visual_features=512, num_events=28, guided=True)
        >>> network(collate([bark])).shape
        torch.Size([1, 10, 29])
    """

    def __init__(
        self,
        *,
        audio_features: int,
        visual_features: int,
        num_events: int,
        modalities: Sequence[str] = MODALITIES,
        guided: bool = False,
        width: int = 0,
        recurrent: int = 128,
        hidden: int = 64,
        dropout: float = 0.5,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if not modalities or set(modalities) - set(MODALITIES) or len(set(modalities)) != len(modalities):
            raise ValueError(f"modalities={tuple(modalities)}: give audio, visual, or both, each once")
        if guided and set(modalities) != set(MODALITIES):
            raise ValueError(
                f"guided=True with modalities={tuple(modalities)}: sound guides the eye, give both"
            )
        self.builder_args: dict[str, Any] = {
            "audio_features": audio_features,
            "visual_features": visual_features,
            "num_events": num_events,
            "modalities": list(modalities),
            "guided": guided,
            "width": width,
            "recurrent": recurrent,
            "hidden": hidden,
            "dropout": dropout,
            "normalize": normalize,
        }
        self.num_events = num_events
        self.look = GuidedAttention(audio_features, visual_features) if guided else MeanOfPlaces()
        sizes = {"audio": audio_features, "visual": visual_features}
        self.encoders = nn.ModuleDict(
            {
                name: segment_encoder(sizes[name], width, dropout=dropout, normalize=normalize)
                if width
                else (nn.LayerNorm(sizes[name]) if normalize else nn.Identity())
                for name in modalities
            }
        )
        self.lstms = nn.ModuleDict(
            {
                name: nn.LSTM(width or sizes[name], recurrent, batch_first=True, bidirectional=True)
                for name in modalities
            }
        )
        self.classify = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * recurrent * len(modalities), hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_events + 1),
        )

    def forward(self, batch: Batch) -> Float[Tensor, "B N C"]:
        """Logits of the events and, last, of background."""
        check_features(batch, self.builder_args["audio_features"], self.builder_args["visual_features"])
        features = {"audio": batch.audio, "visual": self.look(batch.visual, batch.audio)}
        states = [
            run_over(lstm, self.encoders[name](features[name]), batch.mask)
            for name, lstm in self.lstms.items()
        ]
        return self.classify(torch.cat(states, 2))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Cross-entropy of the segments' labels."""
        labels = segment_labels(batch.event, batch.relevant, self.num_events)
        return segment_loss(self(batch), labels, batch.mask)

    @torch.no_grad()
    def localize(self, batch: Batch) -> Localization:
        """The best label of every segment; the relevance is the probability that it is not background."""
        probabilities = self(batch).float().softmax(2)
        events = (probabilities[..., :-1] * batch.mask[..., None]).sum(1)
        tiny = torch.finfo(events.dtype).tiny
        labels = torch.where(batch.mask, probabilities.argmax(2), self.num_events)
        return Localization(
            labels=labels,
            event_scores=(events + tiny) / (events + tiny).sum(1, keepdim=True),  # all may be background
            relevance=padded_to(batch.mask, 1 - probabilities[..., -1], 0.0),
        )
