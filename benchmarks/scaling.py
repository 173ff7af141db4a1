"""How time grows with the frames of a clip, the clips of a batch and the size of the frames.

    python benchmarks/scaling.py [--backbone resnet50] [--step inference]

The exponent is the slope of log(time) over log(size): 1 where twice as many frames take twice as long. Sizes are
compared by pixels, so there 1 is proportional too. The chart is results/scaling.png.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import interlace
from interlace.benchmark.model import forward, training_step
from timing import Record, common_options, compare, prepare, stopwatch

METHODS = ("tsn", "tsm", "tin")
COLORS = {"tsn": "#5b6470", "tsm": "#d97706", "tin": "#2563a8"}
AXES = {"frames": (4, 8, 16, 32), "batch": (1, 2, 4, 8), "size": (96, 128, 160, 224, 288)}
STEPS = {"inference": forward, "training step": training_step}
START = {"frames": 8, "batch": 1, "size": 224}
"""What stays as it is while another one grows."""


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Slope of the least-squares line through (log size, log time)."""
    x, y = [math.log(size) for size in sizes], [math.log(time) for time in times]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def measure(options: argparse.Namespace, frames: int, batch: int, size: int) -> dict[str, dict[str, float]]:
    clip = torch.randn(batch, frames, 3, size, size, device=options.device)
    calls = {}
    for method in METHODS:
        model = interlace.create_model(f"{method}_{options.backbone}", num_classes=174, num_segments=frames)
        model = model.to(options.device).train(options.step == "training step")
        calls[method] = STEPS[options.step](model, clip)
    return compare(calls, rounds=options.rounds, warmup=1, measure=stopwatch(options.device))


def exponents(
    axis: str, measured: Mapping[int, Mapping[str, Mapping[str, float]]]
) -> dict[str, dict[str, float]]:
    """By method: the fitted exponent, over pixels where the size of frames grows, and the ratio to TSN's largest."""
    power = 2 if axis == "size" else 1
    sizes = [value**power for value in measured]
    return {
        method: {
            "exponent": round(exponent(sizes, [rows[method]["median_ms"] for rows in measured.values()]), 3),
            **{f"ratio at {value}": rows[method]["ratio"] for value, rows in measured.items()},
        }
        for method in METHODS
    }


def draw(results: Mapping[str, Mapping[int, Any]], title: str, file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(1, len(results), squeeze=False)[0]
    for place, (axis, measured) in zip(places, results.items(), strict=True):
        fits = exponents(axis, measured)
        for method in METHODS:
            rows = [rows[method] for rows in measured.values()]
            below = [row["median_ms"] - row["min_ms"] for row in rows]
            above = [row["max_ms"] - row["median_ms"] for row in rows]
            place.errorbar(
                list(measured),
                [row["median_ms"] for row in rows],
                [below, above],
                label=f"{method.upper()}, exponent {fits[method]['exponent']:.2f}",
                color=COLORS[method],
                marker="o",
                markersize=3,
                capsize=2,
            )
        place.set_xscale("log", base=2)
        place.set_yscale("log", base=2)
        place.set_xticks(list(measured), [str(value) for value in measured])
        place.minorticks_off()
        place.set_xlabel(
            {"frames": "frames in a clip", "batch": "clips in a batch", "size": "height and width"}[axis]
        )
        place.set_ylabel("milliseconds")
        place.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        place.grid(color="#d9dee4", linewidth=0.6)
        place.legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(file, format="png", facecolor="white")


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--step", choices=STEPS, default="inference")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    prepare(options.threads)
    run = Record("scaling", device=options.device)
    results: dict[str, dict[int, Any]] = {}
    for axis in options.axes:
        measured = results[axis] = {}
        for value in AXES[axis]:
            measured[value] = measure(options, **{**START, axis: value})
            run.add(f"{options.backbone}, {options.step}, {axis} {value}", measured[value])
        run.add(f"{options.backbone}, {options.step}, growth with {axis}", exponents(axis, measured))
    chart = run.file.with_suffix(".png")
    title = (
        f"{options.backbone}, {options.step}; where the axis says nothing else 8 frames, batch 1, 224 x 224"
    )
    draw(results, title, chart)
    print(f"\nwritten: {run.file.name}, {chart.name}")


if __name__ == "__main__":
    main()
