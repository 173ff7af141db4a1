"""Audio-visual events: which segments of a video show and sound an event, by dual attention matching (DAM)."""

from __future__ import annotations

from interlace.audiovisual.timelines.compose import Pair, compose, split_by_group
from interlace.audiovisual.timelines.timeline import (
    NO_EVENT,
    Batch,
    Timeline,
    TimelineSet,
    collate,
    segment_labels,
)
from interlace.audiovisual.timelines.timeline_file import load_timelines, save_timelines

__all__ = [
    "NO_EVENT",
    "Batch",
    "Pair",
    "Timeline",
    "TimelineSet",
    "collate",
    "compose",
    "load_timelines",
    "save_timelines",
    "segment_labels",
    "split_by_group",
]
