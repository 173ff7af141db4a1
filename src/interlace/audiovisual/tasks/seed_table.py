"""Methods beside each other: mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interlace.printable import markdown_cell


@dataclass
class SeedRow:
    """What a method has given on one split."""

    method: str
    by_seed: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics in percent of each seed."""
    failures: dict[int, str] = field(default_factory=dict)
    """Seeds whose training went wrong, and how."""

    def values(self, metric: str) -> list[float]:
        """Of each seed that has it, in the order of the seeds."""
        return [metrics[metric] for _, metrics in sorted(self.by_seed.items()) if metric in metrics]

    def mean(self, metric: str) -> float | None:
        """Over the seeds; None if there is none."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Sample standard deviation over the seeds; None with fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        names = metric_names([self])
        return {
            "mean": {name: self.mean(name) for name in names},
            "spread": {name: self.spread(name) for name in names},
            "by_seed": {str(seed): metrics for seed, metrics in sorted(self.by_seed.items())},
            "failures": {str(seed): reason for seed, reason in sorted(self.failures.items())},
        }


def metric_names(rows: list[SeedRow]) -> list[str]:
    """The metrics of all rows, the main one first."""
    return list(dict.fromkeys(name for row in rows for metrics in row.by_seed.values() for name in metrics))


def markdown_table(rows: list[SeedRow], notes: Mapping[str, str] | None = None) -> str:
    """The table as people read it: mean +- sample standard deviation, in percent.

    Args:
        rows: one a method.
        notes: what is to be said of a method.

    Example:
        >>> from interlace.audiovisual.tasks.seed_table import SeedRow, markdown_table
        >>> dam = SeedRow("dam", {0: {"accuracy": 74.0}, 1: {"accuracy": 76.0}})
        >>> print(markdown_table([dam, SeedRow("chance", {0: {"accuracy": 40.0}})]))
        | method | accuracy | seeds | note |
        | --- | ---: | ---: | --- |
        | dam | 75.00 +- 1.41 | 2 |  |
        | chance | 40.00 | 1 |  |
    """
    names = metric_names(rows)
    lines = [
        f"| method | {' | '.join([*names, 'seeds'])} | note |",
        f"| --- | {' | '.join('---:' for _ in [*names, 'seeds'])} | --- |",
    ]
    for row in rows:
        failed = [f"seed {seed}: {reason}" for seed, reason in sorted(row.failures.items())]
        note = "; ".join(part for part in ((notes or {}).get(row.method, ""), *failed) if part)
        means = [mean_and_spread(row, name) for name in names]
        cells = [markdown_cell(row.method), *means, str(len(row.by_seed))]
        lines.append(f"| {' | '.join(cells)} | {markdown_cell(note)} |")
    return "\n".join(lines)


def mean_and_spread(row: SeedRow, metric: str) -> str:
    """`74.52 +- 0.60`; without a spread where one seed was trained."""
    mean, spread = row.mean(metric), row.spread(metric)
    if mean is None:
        return "-"
    return f"{mean:.2f}" if spread is None else f"{mean:.2f} +- {spread:.2f}"
