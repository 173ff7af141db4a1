"""The methods of both tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from interlace.audiovisual.models.baselines import (
    ChanceLocalizer,
    ChanceMatcher,
    CorrelationMatcher,
    DistanceMatcher,
    SegmentClassifier,
)
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher


@dataclass(frozen=True)
class Method:
    """A network, and how it learns."""

    network: Callable[..., nn.Module]
    """Called with audio_features, visual_features, num_events and the network's own arguments; what it builds has
    them all as ``builder_args``, from which a checkpoint builds it again."""
    fitted: Literal["gradient", "closed_form"]
    """By gradient steps on ``loss(batch)``, or by one call of ``fit(timelines)``."""
    summary: str
    """One sentence."""


SEL_METHODS: dict[str, Method] = {
    "dam": Method(EventLocalizer, "gradient", "Dual attention matching (Wu et al., ICCV 2019)."),
    "dam_joint": Method(
        partial(EventLocalizer, context="joint", focus=True, width=256),
        "gradient",
        "The same, where sound and picture meet before they are matched, and relevant segments tell the category.",
    ),
    "audio": Method(
        partial(SegmentClassifier, modalities=("audio",)), "gradient", "LSTM over the sound alone."
    ),
    "visual": Method(
        partial(SegmentClassifier, modalities=("visual",)), "gradient", "LSTM over the picture alone."
    ),
    "concat": Method(
        SegmentClassifier, "gradient", "LSTMs over sound and picture, side by side (Tian et al., ECCV 2018)."
    ),
    "avel": Method(
        partial(SegmentClassifier, guided=True),
        "gradient",
        "The same with audio-guided attention over the places of the picture (AVEL, Tian et al., ECCV 2018).",
    ),
    "chance": Method(ChanceLocalizer, "closed_form", "The most frequent label of the training segments."),
}
"""Supervised event localization: ``localize(batch) -> Localization``, and ``loss(batch)`` where fitted by gradient."""

CML_METHODS: dict[str, Method] = {
    "dam": Method(CrossModalMatcher, "gradient", "Dual attention matching (Wu et al., ICCV 2019)."),
    "dam_local": Method(
        partial(CrossModalMatcher, local=True),
        "gradient",
        "The same, and each segment of a window is matched with its own partner in the query.",
    ),
    "avdln": Method(DistanceMatcher, "gradient", "Learned distances (AVDLN, Tian et al., ECCV 2018)."),
    "cca": Method(CorrelationMatcher, "closed_form", "Canonical correlation, the linear form of DCCA."),
    "chance": Method(ChanceMatcher, "closed_form", "A start drawn evenly: the expected value, exactly."),
}
"""Cross-modality localization: every one a :class:`interlace.audiovisual.models.cml.CrossModalNetwork`."""
