"""Pictures: of reports, of what TIN has learned, of accuracy against cost."""

from __future__ import annotations

from interlace.plots.cost import Disc, Panel, accuracy_against_cost
from interlace.plots.offset_tally import OffsetSeries, OffsetTally, series_of
from interlace.plots.offsets import offset_figure
from interlace.plots.reports import accuracy_bars, confusion_matrix, read_curves, shorten, training_curves

__all__ = [
    "Disc",
    "OffsetSeries",
    "OffsetTally",
    "Panel",
    "accuracy_against_cost",
    "accuracy_bars",
    "confusion_matrix",
    "offset_figure",
    "read_curves",
    "series_of",
    "shorten",
    "training_curves",
]
