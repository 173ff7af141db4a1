"""Every network beside what the papers state of it: parameters, multiply-adds, time, accuracy."""

from __future__ import annotations

from interlace.comparison.agreement import Agreement, agreement
from interlace.comparison.costs import Costs, count_costs
from interlace.comparison.entries import Entry, entries
from interlace.comparison.latency import Latency, Setting, Stopwatch
from interlace.comparison.own import OwnAccuracy, read_own
from interlace.comparison.published import FROM_THE_SLIDES, TABLE_1, Accuracy, Published
from interlace.comparison.rows import Row, counted, timed

__all__ = [
    "FROM_THE_SLIDES",
    "TABLE_1",
    "Accuracy",
    "Agreement",
    "Costs",
    "Entry",
    "Latency",
    "OwnAccuracy",
    "Published",
    "Row",
    "Setting",
    "Stopwatch",
    "agreement",
    "count_costs",
    "counted",
    "entries",
    "read_own",
    "timed",
]
