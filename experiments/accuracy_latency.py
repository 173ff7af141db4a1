"""Accuracy against latency: what each family of networks reaches in a study, and what a clip costs it.

    python experiments/accuracy_latency.py            # times the networks in turn, then draws
    python experiments/accuracy_latency.py --draw     # draws what was timed before

The accuracies are the lines of `make study NAME=utd_families`; a family that has none yet is left out, and said so.
Latencies are of one clip in evaluation, float32, ratios to TSN taken in turn in one run, added to
benchmarks/results/utd_families_latency.json. The picture goes to docs/images/utd_accuracy_latency.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

import interlace
from common import RESULTS, record
from interlace.benchmark import compare, describe_machine
from interlace.benchmark.model import forward
from interlace.files import whole_file
from interlace.plots.labels import write_labels
from studies.every import STUDIES
from studies.lines import read_lines
from studies.plan import Study
from studies.tables import lines_of
from utd_stream_plots import COLORS

STUDY = "utd_families"
NAME = "utd_families_latency"
SIZE, FRAMES, CLASSES = 64, 8, 27
LINES = Path(__file__).resolve().parent / "results"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "utd_accuracy_latency.png"
INK, PALE = "#1f2933", "#d9dee4"
OTHER = "#7c9a6d"
DOT = 7.0
"""Points across."""


def measure(study: Study, rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of a clip for each family, and its ratio to TSN's."""
    clip = torch.randn(1, FRAMES, 1, SIZE, SIZE)
    calls = {}
    for arm in study.arms:
        network = interlace.create_model(
            arm.model,
            num_classes=CLASSES,
            num_segments=FRAMES,
            pretrained=False,
            in_chans=1,
            **arm.model_args,
        )
        calls[arm.name] = forward(network.eval(), clip)
    rows = compare(
        calls,
        rounds=rounds,
        base="tsn",
        progress=lambda done, total: print(f"\rround {done} of {total} ", end="", flush=True),
    )
    print()
    return [{"family": name, **numbers} for name, numbers in rows.items()]


def accuracies(study: Study, lines: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Mean top-1 accuracy of the families that have results."""
    found = {arm.name: lines_of(study, arm, lines) for arm in study.arms}
    return {
        name: float(np.mean([line["top1"] for line in theirs.values()]))
        for name, theirs in found.items()
        if theirs
    }


def draw(accuracy: Mapping[str, float], ratio: Mapping[str, float], file: Path) -> None:
    """A dot for each family: how long a clip takes, in TSN's time, and how many it recognises.

    Raises:
        ValueError: a family was never timed.
    """
    if untimed := sorted(accuracy.keys() - ratio.keys()):
        raise ValueError(f"{', '.join(untimed)}: in the study, but never timed; run this without --draw")
    names = sorted(accuracy)
    figure, axes = plt.subplots(figsize=(10, 6), dpi=110)
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.09, top=0.93)
    colors = [COLORS.get(name.split("_")[0], OTHER) for name in names]
    at = [(ratio[name], accuracy[name]) for name in names]
    axes.scatter(*zip(*at, strict=True), s=DOT**2, c=colors, zorder=3)
    axes.set_xscale("log")
    ticks = [0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 4, 5, 7, 10]
    low, high = min(ratio[name] for name in names), max(ratio[name] for name in names)
    axes.set_xlim(low / 1.1, high * 1.3)
    axes.set_xticks([tick for tick in ticks if low / 1.1 <= tick <= high * 1.3])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.margins(y=0.12)
    axes.set(xlabel="latency of a clip, in TSN's", ylabel="top-1 accuracy (%)")
    axes.set_title(
        f"UTD-MHAD depth, cross-subject: ResNet-18, {FRAMES} frames of {SIZE} x {SIZE}, one recipe for all, "
        "one seed",
        fontsize=9,
        loc="left",
    )
    axes.grid(color=PALE, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    write_labels(axes, names, at, across=[DOT] * len(names), colors=colors, font_size=8.0, ink=INK)
    with whole_file(file) as beside:
        figure.savefig(beside, format="png")
    plt.close(figure)


def newest_ratios() -> dict[str, float]:
    """Of the last timing.

    Raises:
        FileNotFoundError: nothing was ever timed.
    """
    file = RESULTS / f"{NAME}.json"
    if not file.exists():
        raise FileNotFoundError(f"{file}: nothing was timed yet; run this without --draw")
    return {row["family"]: row["ratio"] for row in json.loads(file.read_text())[-1]["results"]}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draw", action="store_true", help="time nothing")
    parser.add_argument("--rounds", type=int, default=15, help="of the timing (%(default)s)")
    given = parser.parse_args(words)
    study = STUDIES[STUDY]
    if not given.draw:
        about = {
            "machine": describe_machine("cpu"),
            "threads": torch.get_num_threads(),
            "clip": [1, FRAMES, 1, SIZE, SIZE],
        }
        record(NAME, about, measure(study, given.rounds))
    accuracy = accuracies(study, read_lines(LINES / f"{study.data.name}.jsonl"))
    if not accuracy:
        print(f"{STUDY} has no results yet: run `make study NAME={STUDY}`", file=sys.stderr)
        return 1
    if missing := [arm.name for arm in study.arms if arm.name not in accuracy]:
        print(f"not in the picture, for want of a result: {', '.join(missing)}")
    draw(accuracy, newest_ratios(), PICTURE)
    print(f"written: docs/images/{PICTURE.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
