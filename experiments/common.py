"""Train and score a list of runs; a run that is finished is not done again, one that was interrupted is resumed."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlace.data.annotations import read_annotations
from interlace.evaluation.evaluate import evaluate
from interlace.provenance import provenance
from interlace.training.config import TrainConfig
from interlace.training.run import train

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def run(config: TrainConfig) -> dict[str, Any]:
    """Train to the last epoch, score the last weights (nothing is selected on the test clips), and return the numbers."""
    finished = config.output / "result.json"
    if finished.exists():
        return json.loads(finished.read_text())
    began = time.monotonic()
    train(replace(config, resume=(config.output / "last.ckpt").exists()))
    seconds = time.monotonic() - began
    assert config.val is not None
    clips = read_annotations(config.data, config.val, classes=None)
    report = evaluate(
        [config.output / "last.safetensors"], clips, protocol="1clip-center", output=config.output / "evaluation"
    )
    result = {
        "model": config.model,
        "seed": config.seed,
        "split": config.val.stem,
        "num_clips": report.num_clips,
        **report.metrics,
        "seconds_of_last_session": round(seconds),
    }
    finished.write_text(json.dumps(result, indent=1))
    return result


def accuracy_on(predictions: Path, classes: Iterable[str]) -> float:
    """Percent of the clips of some classes that were recognised, among all classes of the data set."""
    wanted = set(classes)
    with predictions.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in wanted]
    return 100 * sum(row["label"] == row["predicted"] for row in rows) / len(rows)


def record(name: str, settings: Mapping[str, Any], results: list[dict[str, Any]]) -> None:
    """Append to `benchmarks/results/NAME.json`, which keeps what was measured before."""
    file = RESULTS / f"{name}.json"
    history = json.loads(file.read_text()) if file.exists() else []
    history.append({**provenance(), "settings": dict(settings), "results": results})
    file.write_text(json.dumps(history, indent=1, default=str) + "\n")
    for result in results:
        print({key: round(value, 1) if isinstance(value, float) else value for key, value in result.items()})
