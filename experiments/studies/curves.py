"""Pictures of a study: the training loss by epoch, and every run's score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from interlace.files import whole_file
from studies.plan import Study
from studies.tables import Results, lines_of


def draw(study: Study, results: Results, file: Path) -> None:
    """Two panels: mean training loss of each arm, and the scores of its seeds as dots."""
    arms = [(arm, lines_of(study, arm, results)) for arm in study.arms]
    arms = [(arm, lines) for arm, lines in arms if lines]
    if not arms:
        raise ValueError(f"the study {study.name} has no results yet")
    arms.sort(key=lambda each: _mean(each[1]))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, max(4.0, 0.32 * len(arms) + 1)), layout="constrained"
    )
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(arms)))
    for place, ((arm, lines), color) in enumerate(zip(arms, colors, strict=True)):
        curves = [line["curve"] for line in lines.values()]
        shortest = min(map(len, curves))
        mean = np.mean([curve[:shortest] for curve in curves], axis=0)
        left.plot(np.arange(1, shortest + 1), mean, color=color, label=arm.name)
        scores = [line["top1"] for line in lines.values()]
        right.plot(scores, [place] * len(scores), "o", color=color, alpha=0.6)
        right.plot(np.mean(scores), place, "|", color="black", markersize=14)
    left.set(xlabel="epoch", ylabel="training loss, mean over runs", yscale="log")
    right.set(xlabel="top-1 accuracy (%), a dot a run, the bar their mean")
    right.set_yticks(range(len(arms)), [arm.name for arm, _ in arms])
    right.grid(axis="x", alpha=0.3)
    if len(arms) <= 8:
        left.legend(fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as beside:
        figure.savefig(beside, dpi=110, format="png")
    plt.close(figure)


def _mean(lines: Mapping[Any, Mapping[str, Any]]) -> float:
    return float(np.mean([line["top1"] for line in lines.values()]))
