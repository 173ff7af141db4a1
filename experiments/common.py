"""Train and score by the command line; a finished run is not done again, an interrupted one is resumed.

Each result carries the command that gave it.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from interlace.cli import main
from interlace.provenance import provenance

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def train_and_score(
    data: Path,
    annotations: tuple[Path, Path],
    output: Path,
    options: list[str],
    evaluation: Sequence[str] = (),
) -> dict[str, Any]:
    """Train to the last epoch and score the last weights: nothing is selected on the clips that are scored.

    ``options`` are those of training; ``evaluation`` are further ones of `interlace evaluate`.
    """
    finished = output / "result.json"
    if finished.exists():
        return dict(json.loads(finished.read_text()))
    train, scored = map(str, annotations)
    train_command = ["train", str(data), "--train", train, "--val", scored, "--output", str(output), *options]
    began = time.monotonic()
    resume = ["--resume", "true"] if (output / "last.ckpt").exists() else []
    interlace(*train_command, *resume)
    seconds = time.monotonic() - began
    last, report = str(output / "last.safetensors"), output / "evaluation"
    scored_by = ["--annotations", scored, "--model", last, "--output", str(report), "--overwrite", "true"]
    interlace("evaluate", str(data), *scored_by, *evaluation)
    metrics = json.loads((report / "metrics.json").read_text())
    result = {
        "command": "interlace " + " ".join(train_command),
        "num_clips": metrics["num_clips"],
        **metrics["metrics"],
        "training_seconds": round(seconds),
    }
    finished.write_text(json.dumps(result, indent=1))
    return result


def load_example(name: str) -> ModuleType:
    """A script of `examples/`, which is no package, as a module: the splits are made by what users have."""
    file = Path(__file__).resolve().parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def interlace(*arguments: str | Path) -> str:
    """Run a command, and return it as it is typed; what it says goes to the terminal."""
    words = [str(word) for word in arguments]
    print("\n$ interlace", " ".join(words), flush=True)
    if status := main(words):
        raise SystemExit(status)
    return " ".join(["interlace", *words])


def accuracy_on(report: Path, classes: Iterable[str]) -> float:
    """Percent of the clips of some classes that were recognised among all classes of the data set."""
    wanted = set(classes)
    with (report / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["true"] in wanted]
    return 100 * sum(row["true"] == row["predicted"] for row in rows) / len(rows)


def record(name: str, about: Mapping[str, Any], results: list[dict[str, Any]]) -> None:
    """Append to `benchmarks/results/NAME.json`, which keeps what was measured before, and print."""
    file = RESULTS / f"{name}.json"
    history = json.loads(file.read_text()) if file.exists() else []
    history.append({**provenance(), "about": dict(about), "results": results})
    file.write_text(json.dumps(history, indent=1, default=str) + "\n")
    for result in results:
        shown = {key: round(value, 1) if isinstance(value, float) else value for key, value in result.items()}
        shown.pop("command", None)  # a timing has none but that of the whole run
        print(shown)
