"""What all benchmarks share: alternatives timed in turn, results that keep their history, measured ceilings."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import torch

from interlace.benchmark import compare, describe_machine, stopwatch
from interlace.files import whole_file
from interlace.provenance import provenance

__all__ = [
    "Record",
    "ceilings",
    "common_options",
    "compare",
    "describe_machine",
    "prepare",
    "record",
    "stopwatch",
]

RESULTS = Path(__file__).resolve().parent / "results"


class Record:
    """One run's entry in `results/NAME.json`; every finished case is written at once, earlier entries stay.

    Runs on a GPU have a file of their own, NAME_cuda.json.
    """

    def __init__(self, name: str, *, device: str | torch.device = "cpu", folder: Path | None = None) -> None:
        suffix = "" if torch.device(device).type == "cpu" else f"_{torch.device(device).type}"
        self.file = (folder or RESULTS) / f"{name}{suffix}.json"
        self.entry: dict[str, Any] = {
            **provenance(),
            "machine": describe_machine(device),
            "threads": torch.get_num_threads(),
            "results": {},
        }
        self.entry["command"] = without_paths(self.entry["command"])
        self.entry["commit"] = commit_of_code(self.entry["commit"])

    def add(self, case: str, rows: Mapping[str, Any]) -> None:
        """Write one case's rows, and print them."""
        with _alone(self.file.parent):
            history = read_history(self.file)
            if self.entry["results"]:  # ours is in the file already
                history.remove(self.entry)
            self.entry["results"][case] = json.loads(json.dumps(rows))
            with whole_file(self.file) as beside:
                beside.write_text(json.dumps([*history, self.entry], indent=1) + "\n")
        print_rows(f"{self.file.stem}: {case}", rows)

    def has(self, case: str) -> bool:
        """Whether this case stands in the history for this commit, machine and number of threads.

        A checkout with uncommitted changes never counts: what it ran cannot be known.
        """
        same = ("commit", "machine", "threads")
        return not str(self.entry["commit"]).endswith("-dirty") and any(
            case in entry["results"] and all(entry.get(key) == self.entry[key] for key in same)
            for entry in read_history(self.file)
        )


def record(name: str, results: Mapping[str, Any], *, device: str | torch.device = "cpu") -> None:
    """Append one run to `results/NAME.json`, which keeps every earlier one, and print it."""
    run = Record(name, device=device)
    for case, rows in results.items():
        run.add(case, rows)
    print(f"\nwritten: {run.file.relative_to(RESULTS.parent.parent)}")


def read_history(file: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; ValueError where the file is damaged, so that it is never written over."""
    if not file.exists():
        return []
    try:
        history = json.loads(file.read_text())
    except ValueError as problem:
        raise ValueError(
            f"{file}: not JSON ({problem}); restore it from git before more is added"
        ) from problem
    if not isinstance(history, list):
        raise ValueError(f"{file}: not a list of runs; restore it from git before more is added")
    return history


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within the block no other process adds to the files of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which opens the lock


def commit_of_code(commit: str | None) -> str | None:
    """The commit, -dirty only for changed code: results are tracked too, and the first that is written changes one."""
    changed = [
        "git",
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "src",
        "benchmarks",
        ":!benchmarks/results",
    ]
    if not str(commit).endswith("-dirty"):
        return commit
    done = subprocess.run(changed, cwd=RESULTS.parents[1], capture_output=True, text=True, check=False)
    return commit if done.stdout or done.returncode else str(commit).removesuffix("-dirty")


def without_paths(command: str) -> str:
    """A command line in which absolute paths are cut to their last part."""

    def short(word: str) -> str:
        option, equals, value = word.partition("=")
        if not equals:
            option, value = "", word
        return option + equals + (PurePath(value).name if PurePath(value).is_absolute() else value)

    return shlex.join(short(word) for word in shlex.split(command))


def print_rows(title: str, rows: Mapping[str, Any]) -> None:
    """A line for each alternative; what is only of interest afterwards stands in the file."""
    print(f"\n{title}")
    for alternative, numbers in rows.items():
        shown = {key: value for key, value in numbers.items() if key not in ("min_ms", "max_ms", "faults")}
        cells = (
            f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in shown.items()
        )
        print(f"  {alternative:<34}" + "  ".join(cells), flush=True)


def ceilings(device: str | torch.device = "cpu", *, rounds: int = 5) -> dict[str, float]:
    """What this machine can do at best: bytes copied and float operations a second, for roofline statements.

    A copy of n bytes into a buffer that is there already moves 2 n: they are read and written. 256 MiB fit in
    no cache. Operations: 2 a multiply-accumulate, in products of square matrices and in a 3x3 convolution of
    ResNet's second stage; the two come from different libraries on the CPU, and neither is always the faster.
    """
    device = torch.device(device)
    on_gpu, measure = device.type == "cuda", stopwatch(device)
    source = torch.ones(2**26, device=device)
    buffer = torch.empty_like(source)
    copied = compare({"copy": lambda: buffer.copy_(source)}, rounds=rounds, measure=measure)["copy"]["min_ms"]
    found = {"copy_gb_per_s": round(2 * source.nbytes / copied / 1e6, 2)}
    size, frames = (8192, 256) if on_gpu else (2048, 8)
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        matrix = torch.rand(size, size, device=device).to(dtype)
        features = torch.rand(frames, 256, 28, 28, device=device).to(dtype)
        convolution = torch.nn.Conv2d(256, 256, 3, padding=1, device=device).to(dtype)
        work: dict[str, tuple[Callable[[], Any], int]] = {
            "matmul": (partial(torch.mm, matrix, matrix, out=torch.empty_like(matrix)), 2 * size**3),
            "conv": (partial(convolution, features), 2 * 9 * 256 * features.numel()),
        }
        for kind, (run, operations) in work.items():
            with torch.inference_mode():
                took = compare({kind: run}, rounds=rounds, measure=measure)[kind]["min_ms"]
            found[f"{kind}_{name}_gflop_per_s"] = round(operations / took / 1e6, 1)
    return found


def common_options(description: str | None) -> argparse.ArgumentParser:
    """A parser with --device and --threads."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    return parser


def prepare(threads: int) -> None:
    """The same random numbers in every run, and so many threads."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
