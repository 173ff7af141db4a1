"""Temporal modules: from frames (B*T, C, H, W) to the same shape, mixing the T frames of each clip."""

from __future__ import annotations

from interlace.temporal.causal_interlace import CausalInterlace
from interlace.temporal.consensus import AverageConsensus
from interlace.temporal.interlace import TemporalInterlace, record_offsets
from interlace.temporal.non_local import NonLocalBlock, NonLocalFrames
from interlace.temporal.relation import RelationConsensus
from interlace.temporal.shift import TemporalShift
from interlace.temporal.temporal_conv import RegularizedTemporalConv, TemporalConv, to_temporal_conv
from interlace.temporal.temporal_pool import TemporalPool

__all__ = [
    "AverageConsensus",
    "CausalInterlace",
    "NonLocalBlock",
    "NonLocalFrames",
    "RegularizedTemporalConv",
    "RelationConsensus",
    "TemporalConv",
    "TemporalInterlace",
    "TemporalPool",
    "TemporalShift",
    "record_offsets",
    "to_temporal_conv",
]
