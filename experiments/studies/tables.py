"""A study's results as a table: mean and spread of each arm, and what it differs by from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studies.paired import FEWEST, paired_by_clips, paired_difference, student_interval
from studies.plan import Arm, Study

Results = Mapping[str, Mapping[str, Any]]
"""Lines by their keys."""


def lines_of(study: Study, arm: Arm, results: Results) -> dict[tuple[int, str], Mapping[str, Any]]:
    """What is done of an arm, by seed and split."""
    jobs = study.jobs(arms=[arm.name])
    return {(job.seed, job.split.name): results[job.key] for job in jobs if job.key in results}


def markdown(study: Study, results: Results, *, metric: str = "top1") -> str:
    """The table, best arm first; behind the whole arms those that have not all of their runs yet.

    A row's scores are of its last weights.
    """
    reference = next(arm for arm in study.arms if arm.name == study.reference)
    theirs = lines_of(study, reference, results)
    rows = []
    for arm in study.arms:
        ours = lines_of(study, arm, results)
        if ours:
            scores = [line[metric] for line in ours.values()]
            lacks_runs = len(ours) < len(study.jobs(arms=[arm.name]))
            rows.append((lacks_runs, -float(np.mean(scores)), _row(study, arm, ours, theirs, metric)))
    over = [f"over {study.reference}, 95 % bootstrap", "Student's t", "seeds and clips"]
    in_order = ["order-dependent"] if study.order_dependent else []
    head = ["arm", metric, "runs", *over, *in_order, "each run"]
    return "\n".join([cells(head), cells(["---"] * len(head)), *(row for *_, row in sorted(rows))])


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
    over, student, clips = "", "", ""
    if arm.name != study.reference and both:
        found = paired_difference([ours[k][metric] for k in both], [theirs[k][metric] for k in both])
        told = len(both) >= FEWEST
        over = str(found) if told else f"{found.mean:+.1f}"
        student = interval(*student_interval(found.pairs)) if told else ""
        right = _all_splits(ours, both), _all_splits(theirs, both)
        if metric == "top1" and len(right[0]) >= FEWEST:
            of_clips = paired_by_clips(*right)
            clips = interval(of_clips.low, of_clips.high)
    is_whole = len(scores) == len(study.jobs(arms=[arm.name]))
    words = [f"{np.mean(scores):.1f}{spread}", f"{len(scores)}{'' if is_whole else ', more to come'}"]
    words += [over, student, clips]
    if study.order_dependent:
        in_order = [accuracy_on(line, study.order_dependent) for line in ours.values()]
        words.append(f"{np.mean(in_order):.1f}")
    return cells([arm.name, *words, ", ".join(f"{score:.1f}" for score in scores)])


def cells(words: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(words)} |"


def interval(low: float, high: float) -> str:
    """Of differences, in points."""
    return f"[{low:+.1f}, {high:+.1f}]"


def _all_splits(
    lines: Mapping[tuple[int, str], Mapping[str, Any]], keys: Sequence[tuple[int, str]]
) -> list[str]:
    """Which clips were right, those of all splits in a row, for each seed that has all that any seed has."""
    splits = sorted({split for _, split in keys})
    whole = [
        seed for seed in sorted({seed for seed, _ in keys}) if all((seed, each) in keys for each in splits)
    ]
    return ["".join(lines[seed, each]["right"] for each in splits) for seed in whole]


def accuracy_on(line: Mapping[str, Any], classes: Sequence[str]) -> float:
    """Percent of the clips of some classes that were recognised among all classes."""
    labels = [label for label, count in line["labels"] for _ in range(count)]
    right = [int(c) for c, label in zip(line["right"], labels, strict=True) if label in classes]
    return 100 * float(np.mean(right))
