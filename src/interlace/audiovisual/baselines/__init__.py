"""What DAM is compared with, each on the same timelines and by the same tasks."""

from __future__ import annotations

from interlace.audiovisual.baselines.cca import CorrelationMatcher
from interlace.audiovisual.baselines.chance import ChanceLocalizer, ChanceMatcher
from interlace.audiovisual.baselines.distance import DistanceMatcher
from interlace.audiovisual.baselines.segments import SegmentClassifier

__all__ = ["ChanceLocalizer", "ChanceMatcher", "CorrelationMatcher", "DistanceMatcher", "SegmentClassifier"]
