"""Clips per second of training in one process and in two, with the same clips in each update.

    python benchmarks/several_processes.py [--model tsm_resnet18] [--rounds 5]

Every round runs each arrangement once, in turn, from the start of its processes; counted are the epochs behind the
first one, decoding, validation of a few clips and all messages between the processes included. On a machine of two
cores, two processes of one thread are to be compared with one process of two threads; what remains is what the messages
cost.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlace.data.render import render
from timing import Record

ARMS = {
    "1 process, 2 threads": (1, 2),
    "1 process, 1 thread": (1, 1),
    "2 processes, 1 thread each": (2, 1),
}
"""Processes, and threads of each."""
BASE = "1 process, 2 threads"


def clips_per_second(folder: Path, num_clips: int) -> float:
    """Of the epochs behind the first one of a run."""
    with (folder / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)][1:]
    return num_clips * len(seconds) / sum(seconds)


def run(options: argparse.Namespace, data: Path, output: Path, processes: int, threads: int) -> float:
    """One run; its clips per second."""
    settings = {
        "output": output, "model": options.model, "pretrained": "false", "image_size": options.size,
        "epochs": 1 + options.epochs, "batch_size": options.batch // processes, "optim.batch_norm": "frozen",
        "trainer.devices": processes, "trainer.accelerator": "cpu", "trainer.num_workers": 0,
        "trainer.checkpoint_minutes": 0,
    }  # fmt: skip
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    start = "import sys; from interlace.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [*launcher, "--no-python", sys.executable, "-c", start, "train", str(data), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ValueError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return clips_per_second(output, options.clips)


def table(measured: Mapping[str, list[float]]) -> dict[str, dict[str, Any]]:
    """By arrangement: the median, the spread, and the median over the rounds of the ratio to the first one.

    >>> rates = {"1 process, 2 threads": [4.0, 5.0], "2 processes, 1 thread each": [3.0, 5.0]}
    >>> [row["ratio"] for row in table(rates).values()]
    [1.0, 0.875]
    """
    return {
        arm: {
            "clips_per_second": round(statistics.median(rates), 3),
            "lowest": round(min(rates), 3),
            "highest": round(max(rates), 3),
            "ratio": round(statistics.median(a / b for a, b in zip(rates, measured[BASE], strict=True)), 3),
        }
        for arm, rates in measured.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write results/several_processes.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tsm_resnet18")
    parser.add_argument("--size", type=int, default=112, help="side of the frames in pixels")
    parser.add_argument("--batch", type=int, default=8, help="clips of an update, all processes together")
    parser.add_argument("--clips", type=int, default=60, help="training clips, of ten classes")
    parser.add_argument("--epochs", type=int, default=2, help="that are counted")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--results", type=Path, default=None, help="folder, by default results/ beside this file"
    )
    options = parser.parse_args(arguments)
    measured: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as folder:
        per_class = max(1, options.clips // 10)
        options.clips = 10 * per_class
        data = Path(folder) / "clips"
        render(data, clips_per_class=per_class, val_clips_per_class=1, progress=False)
        for number in range(options.rounds):
            for arm, (processes, threads) in ARMS.items():
                measured[arm].append(run(options, data, Path(folder) / f"{number}-{arm}", processes, threads))
                print(f"round {number + 1}: {arm}: {measured[arm][-1]:.2f} clips/s", flush=True)
    case = (
        f"{options.model}, {options.size} pixels, {options.batch} clips an update, {options.clips} clips, "
        f"{options.epochs} epochs, {options.rounds} rounds"
    )
    Record("several_processes", folder=options.results).add(case, table(measured))


if __name__ == "__main__":
    main()
