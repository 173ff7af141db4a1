"""Scoring on labelled clips: protocols, metrics, ensembles and the report."""

from __future__ import annotations

from interlace.evaluation.ensemble import join_checkpoints
from interlace.evaluation.evaluate import evaluate
from interlace.evaluation.protocol import PROTOCOLS, Protocol, get_protocol, score_views

__all__ = ["PROTOCOLS", "Protocol", "evaluate", "get_protocol", "join_checkpoints", "score_views"]
