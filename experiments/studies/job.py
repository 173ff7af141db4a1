"""One run of a study: train to the last epoch, score the last weights, leave result.json in the run's folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from common import interlace
from interlace.files import whole_file, whole_folder
from interlace.provenance import provenance
from studies.plan import Job

# Of the published data sets and of generated ones alike: nothing is picked by looking at what is scored.
FIXED = ["--trainer.validate_every", "1000000", "--augment.flip", "false"]


def folder_of(job: Job, runs: Path) -> Path:
    """Where its files are; if another study began the same run, under the name that it has there."""
    begun = sorted(runs.glob(f"*-{job.key}"))
    return begun[0] if begun else runs / f"{job.arm.name}-{job.split.name}-{job.seed}-{job.key}"


def run(job: Job, data: Path, runs: Path) -> dict[str, Any]:
    """Train and score, or find it done."""
    folder = folder_of(job, runs)
    finished = folder / "result.json"
    if finished.exists():
        return dict(json.loads(finished.read_text()))
    videos = job.study.data.folder(data, runs)
    train, scored = lists_of(job, data, runs)
    words: list[str | Path] = ["train", videos, "--train", train, "--val", scored]
    begun = ["--pretrained", data.parent / "weights" / job.study.weights] if job.study.weights else []
    command = interlace(*words, "--output", folder, *FIXED, *begun, *job.options, "--resume", "true")
    report = folder / "evaluation"
    words = ["evaluate", videos, "--annotations", scored, "--output", report]
    interlace(*words, "--model", folder / "last.safetensors", "--overwrite", "true")
    result = {
        "key": job.key,
        "arm": job.arm.name,
        "data": job.study.data.name,
        "split": job.split.name,
        "seed": job.seed,
        "options": job.options,
        **({"weights": job.study.weights} if job.study.weights else {}),
        **_scores(report),
        "curve": [round(loss, 4) for loss in _column(folder / "metrics.csv", "train_loss")],
        "training_seconds": round(sum(_column(folder / "metrics.csv", "seconds"))),
        "train_command": _anywhere(command, data, runs),
        **provenance(),
        **_conditions(folder),
        "command": f"python experiments/study.py {job.study.name} --arms {job.arm.name} --seeds {job.seed}",
    }
    with whole_file(finished) as beside:
        beside.write_text(json.dumps(result, default=str))
    return result


def lists_of(job: Job, data: Path, runs: Path) -> tuple[Path, Path]:
    """The lists of training and of scored clips, written if need be."""
    lists = runs / "splits" / f"{job.study.data.name}-{job.split.name}"
    if not lists.exists():
        with whole_folder(lists) as beside:
            job.split.write(job.study.data.folder(data, runs), beside)
    return lists / "train.csv", lists / "scored.csv"


def _anywhere(command: str, data: Path, runs: Path) -> str:
    """Without the folders of this machine."""
    return command.replace(str(runs), "runs/studies").replace(str(data.parent), "../shared")


def _conditions(folder: Path) -> dict[str, Any]:
    """Commit and device, with its threads, of the process that began the run; where the last that went on with it
    had others, of both. Rounding hangs on them, and with it some points of accuracy."""
    files = [folder / "environment.json", folder / "environment_resumed.json"]
    told = [json.loads(file.read_text()) for file in files if file.exists()]
    each = {
        name: list(dict.fromkeys(about[name] for about in told if about[name]))
        for name in ("commit", "device")
    }
    return {**{name: ", then ".join(found) or None for name, found in each.items()}, "resumed": len(told) > 1}


def _scores(report: Path) -> dict[str, Any]:
    metrics = json.loads((report / "metrics.json").read_text())
    with (report / "predictions.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
    return {
        "num_clips": metrics["num_clips"],
        **metrics["metrics"],
        "right": "".join(str(int(row["true"] == row["predicted"])) for row in rows),
        "labels": _runs_of([row["true"] for row in rows]),
    }


def _runs_of(labels: list[str]) -> list[list[Any]]:
    """[[label, how many clips in a row], ...]: the clips are sorted by path, most often by class."""
    told: list[list[Any]] = []
    for label in labels:
        if told and told[-1][0] == label:
            told[-1][1] += 1
        else:
            told.append([label, 1])
    return told


def _column(table: Path, name: str) -> list[float]:
    """One number an epoch."""
    with table.open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]
