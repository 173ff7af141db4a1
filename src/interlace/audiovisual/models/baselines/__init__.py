"""What DAM is compared with, each on the same timelines and by the same tasks."""

from __future__ import annotations

from interlace.audiovisual.models.baselines.cca import CorrelationMatcher
from interlace.audiovisual.models.baselines.chance import ChanceLocalizer, ChanceMatcher
from interlace.audiovisual.models.baselines.distance import DistanceMatcher
from interlace.audiovisual.models.baselines.segments import SegmentClassifier

__all__ = ["ChanceLocalizer", "ChanceMatcher", "CorrelationMatcher", "DistanceMatcher", "SegmentClassifier"]
