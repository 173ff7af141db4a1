"""The table of an ablation: mean and spread over seeds, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlace.ablation.rows import TABLE_5, Row, RowFacts
from interlace.files import whole_file
from interlace.printable import markdown_cell


@dataclass(frozen=True)
class RowResult:
    """What a row has given so far."""

    row: Row
    facts: RowFacts
    by_seed: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Metrics in percent of each seed that is done."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Seeds whose network could not be scored, and why."""

    def mean(self, metric: str) -> float | None:
        """Over the seeds; None if there is none."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Sample standard deviation over the seeds; None with fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    def values(self, metric: str) -> list[float]:
        """Of each seed, in the order of the seeds."""
        return [metrics[metric] for _, metrics in sorted(self.by_seed.items())]

    @property
    def note(self) -> str:
        """All that a reader has to know of the row."""
        failed = [f"seed {seed}: {reason}" for seed, reason in sorted(self.failures.items())]
        return "; ".join(part for part in (self.facts.problem, self.facts.note, *failed) if part)


def metrics_of(results: Sequence[RowResult]) -> list[str]:
    """The names of the metrics, the main one first: top1, or mAP where clips have several labels."""
    return list(next((m for result in results for m in result.by_seed.values()), {"top1": 0.0}))


def markdown_table(results: Sequence[RowResult]) -> str:
    """The table as people read it.

    Example:
        >>> from interlace.ablation.rows import Row, RowFacts
        >>> from interlace.ablation.table import RowResult, markdown_table
        >>> seeds = {0: {"top1": 80.0}, 1: {"top1": 90.0}}
        >>> print(markdown_table([RowResult(Row(2, mirrored=True), RowFacts(31008), seeds)]))
        | groups | mirrored | own parameters | top1, mean | spread | seeds | each | the paper's | note |
        | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: | --- |
        | 2 | yes | 31008 | 85.00 | 7.07 | 2 | 80.00, 90.00 | 42.9 |  |
    """
    metric = metrics_of(results)[0]
    head = f"groups | mirrored | own parameters | {metric}, mean | spread | seeds | each | the paper's | note"
    lines = [f"| {head} |", "| ---: | --- | ---: | ---: | ---: | ---: | --- | ---: | --- |"]
    for result in results:
        cells = (
            str(result.row.num_groups),
            "yes" if result.row.mirrored else "no",
            str(result.facts.own_parameters) if not result.facts.problem else "-",
            _digits(result.mean(metric)),
            _digits(result.spread(metric)),
            str(len(result.by_seed)),
            ", ".join(map(_digits, result.values(metric))) or "-",
            str(TABLE_5.get(result.row, "-")),
            markdown_cell(result.note),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_tables(folder: Path, results: Sequence[RowResult], about: Mapping[str, Any]) -> Path:
    """Write results.md, results.csv and results.json; returns the first.

    Args:
        folder: where; files of an earlier time are replaced, each whole.
        results: the rows.
        about: what is needed to repeat the numbers; data and command are shown under the table.
    """
    text = [
        "# Groups of TIN (table 5 of the paper)",
        "",
        markdown_table(results),
        "",
        "Spread is the standard deviation over the seeds; the accuracy is that of the last weights of each run on "
        f"{about['data']}. The paper's own is top-1 of ResNet-50 on Something-Something V1, one run each: "
        "other clips, so that only the order of the rows may be compared.",
        "",
        *(f"- {name}: `{about[name]}`" for name in ("command", "commit", "date")),
        f"- versions: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}",
    ]
    table = folder / "results.md"
    with whole_file(table) as beside:
        beside.write_text("\n".join(text) + "\n", encoding="utf-8")
    names = metrics_of(results)
    with whole_file(folder / "results.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("num_groups", "mirrored", "seed", *names, "note"))
        for result in results:
            row = (result.row.num_groups, result.row.mirrored)
            for seed, metrics in sorted(result.by_seed.items()):
                writer.writerow((*row, seed, *(metrics[name] for name in names), result.facts.note))
            for seed, reason in sorted(result.failures.items()):
                writer.writerow((*row, seed, *("" for _ in names), reason))
            if result.facts.problem:
                writer.writerow((*row, "", *("" for _ in names), result.facts.problem))
    numbers = {**about, "rows": [_to_dict(result, names) for result in results]}
    with whole_file(folder / "results.json") as beside:
        beside.write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return table


def _to_dict(result: RowResult, names: Sequence[str]) -> dict[str, Any]:
    return {
        "num_groups": result.row.num_groups,
        "mirrored": result.row.mirrored,
        "own_parameters": result.facts.own_parameters,
        "mean": {name: result.mean(name) for name in names},
        "spread": {name: result.spread(name) for name in names},
        "by_seed": {str(seed): dict(metrics) for seed, metrics in sorted(result.by_seed.items())},
        "paper_top1": TABLE_5.get(result.row),
        "note": result.note,
    }


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
