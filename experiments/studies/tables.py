"""A study's results as a table: mean and spread of each arm, and what it differs by from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studies.paired import paired_by_clips, paired_difference
from studies.plan import Arm, Study

Results = Mapping[str, Mapping[str, Any]]
"""Lines by their keys."""


def lines_of(study: Study, arm: Arm, results: Results) -> dict[tuple[int, str], Mapping[str, Any]]:
    """What is done of an arm, by seed and split."""
    jobs = study.jobs(arms=[arm.name])
    return {(job.seed, job.split.name): results[job.key] for job in jobs if job.key in results}


def markdown(study: Study, results: Results, *, metric: str = "top1") -> str:
    """The table, best arm first.

    A row's scores are of its last weights. An arm that has not all of its runs says how many.
    """
    reference = next(arm for arm in study.arms if arm.name == study.reference)
    theirs = lines_of(study, reference, results)
    rows = []
    for arm in study.arms:
        ours = lines_of(study, arm, results)
        if ours:
            scores = [line[metric] for line in ours.values()]
            rows.append((float(np.mean(scores)), _row(study, arm, ours, theirs, metric)))
    head = (
        f"| arm | {metric} | runs | over {study.reference}, 95 % over seeds | 95 % over seeds and clips | by seed |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    return "\n".join([head, *(row for _, row in sorted(rows, key=lambda row: -row[0]))])


def _row(
    study: Study,
    arm: Arm,
    ours: Mapping[tuple[int, str], Mapping[str, Any]],
    theirs: Mapping[tuple[int, str], Mapping[str, Any]],
    metric: str,
) -> str:
    scores = [line[metric] for line in ours.values()]
    spread = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
    both = sorted(ours.keys() & theirs.keys())
    seeds, clips, by_seed = "", "", ", ".join(f"{score:.1f}" for score in scores)
    if arm.name != study.reference and both:
        seeds = str(paired_difference([ours[k][metric] for k in both], [theirs[k][metric] for k in both]))
        if len(study.splits) == 1 and metric == "top1":
            of_clips = paired_by_clips([ours[k]["right"] for k in both], [theirs[k]["right"] for k in both])
            clips = f"[{of_clips.low:+.1f}, {of_clips.high:+.1f}]"
    runs = (
        f"{len(scores)}"
        if len(scores) == len(study.jobs(arms=[arm.name]))
        else f"{len(scores)}, more to come"
    )
    return f"| {arm.name} | {np.mean(scores):.1f}{spread} | {runs} | {seeds} | {clips} | {by_seed} |"


def accuracy_on(line: Mapping[str, Any], classes: Sequence[str]) -> float:
    """Percent of the clips of some classes that were recognised among all classes."""
    labels = [label for label, count in line["labels"] for _ in range(count)]
    right = [int(c) for c, label in zip(line["right"], labels, strict=True) if label in classes]
    return 100 * float(np.mean(right))
