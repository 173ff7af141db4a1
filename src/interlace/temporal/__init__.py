"""Temporal modules: from frames (B*T, C, H, W) to the same shape, mixing the T frames of each clip."""

from __future__ import annotations

from interlace.temporal.consensus import AverageConsensus
from interlace.temporal.interlace import TemporalInterlace, record_offsets
from interlace.temporal.shift import TemporalShift

__all__ = ["AverageConsensus", "TemporalInterlace", "TemporalShift", "record_offsets"]
