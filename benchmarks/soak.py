"""Hours in small: thousands of files of which some are broken, many epochs, many commands in one folder.

    python benchmarks/soak.py                                   # all parts: about half an hour on two cores
    python benchmarks/soak.py --parts load --files 5000         # one of them
    python benchmarks/soak.py --resume                          # leave out what this commit has measured here

load      `interlace predict` over small clips, one in twenty broken: truncated, without bytes, text, noise, sound only,
          vanishing while it runs, a folder named like a video, a link to nothing, names that are no text. Once in
          peace; once it is killed (SIGKILL) when half is done, and goes on. Counted: what is missing in the output,
          what is listed; memory and open files against the files that are done.
train     `interlace train` with workers for many epochs of small clips: memory of the process and of its largest
          worker, and open files, by epoch.
together  two trainings, two predictions and two computations of optical flow at once in one folder, the last two into
          the same place: each result is that of the command alone. A second training or prediction into an output that
          is being written is refused.

All commands run with one thread each, on the CPU. Memory is what /proc tells (VmRSS), so this needs Linux.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data.render import render
from interlace.inference.journal import journal_file
from soaking.clips import Clips, write_clips
from soaking.watch import Ended, Look, Watched, growth, kill
from timing import RESULTS, Record

PARTS = ("load", "train", "together")
NETWORK = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}
"""A ResNet-18 with a tenth of its layers and channels: the files are what is to cost time."""


def tiny_network(folder: Path) -> Path:
    """A checkpoint with random weights, the same each time."""
    torch.manual_seed(0)
    network = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4, **NETWORK)
    card = ModelCard(
        model=network.builder,
        model_args=network.builder_args,
        labels=tuple(f"class {k}" for k in range(5)),
        sampling={"name": "segment", "num_segments": 4},
        preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
    )
    return save_checkpoint(folder / "tiny.safetensors", network, card)


def measure_load(options: argparse.Namespace) -> dict[str, Any]:
    """Predict in peace, then killed midway; what is in the output, and what it cost."""
    folder = options.work / "load"
    clips = write_clips(folder / "clips", options.files)
    model = tiny_network(folder)
    peaceful, disturbed = folder / "peaceful.csv", folder / "disturbed.csv"
    for output in (peaceful, disturbed):
        output.unlink(missing_ok=True)
        journal_file(output).unlink(missing_ok=True)

    began = time.perf_counter()
    ended = _predict(clips, model, peaceful, "in peace")
    seconds = time.perf_counter() - began
    rows = {"in peace": {**counted(peaceful, clips, ended), "seconds": round(seconds, 1)}}
    rows["in peace"]["files per second"] = round(options.files / seconds, 1)
    rows["main_kib"] = growth(ended.looks, "main_kib", 1000)
    rows["open_files"] = growth(ended.looks, "open_files", 1000)
    rows["broken"] = {kind: len(paths) for kind, paths in clips.broken.items()}
    rows["broken"]["vanishing"] = len(clips.vanishing)

    write_clips(folder / "clips", options.files)  # those that have vanished
    killed = _predict(clips, model, disturbed, "to be killed", kill_at=options.files // 2)
    went_on = _predict(clips, model, disturbed, "going on")
    rows["killed and gone on"] = {
        **counted(disturbed, clips, went_on),
        "status of the killed one": killed.status,
        "printed when it was killed": len(killed.printed),
        "said": next((line for line in went_on.errors.splitlines() if "going on" in line), ""),
        "same bytes as in peace": disturbed.read_bytes() == peaceful.read_bytes(),
        "left over": sorted(path.name for path in folder.iterdir() if path.name.startswith(".")),
    }
    return rows


def say(progress: str) -> None:
    """Show how far it is, to people: in a file each look would be a line."""
    if sys.stdout.isatty():
        print(f"\r{progress}", end="", flush=True)


def _predict(clips: Clips, model: Path, output: Path, title: str, *, kill_at: int | None = None) -> Ended:
    """One prediction; the vanishing files go once all is listed."""
    total = clips.num_good + len(clips.vanishing) + sum(map(len, clips.broken.values()))

    at_work: list[Look] = []

    def at_look(process: Any, look: Look) -> None:
        if journal_file(
            output
        ).exists():  # up to the end of writing; leaving touches 120 MB of libraries again
            at_work.append(look)
        say(f"load, {title}: {look.done} of {total} ")
        if look.done and kill_at is None:
            for path in clips.vanishing:
                path.unlink(missing_ok=True)
        if kill_at is not None and look.done >= kill_at:
            kill(process)

    words = ["predict", *clips.arguments, "--model", str(model), "--device=cpu", "--output", str(output)]
    return replace(Watched(words, at_look=at_look).run(), looks=at_work)


def counted(output: Path, clips: Clips, ended: Ended) -> dict[str, Any]:
    """Each file is in the output once, with a prediction or a reason, as it should be."""
    with output.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    # A timeline has a row for each window.
    predicted = {row["path"] for row in rows if row["label"]}
    failed = [row["path"] for row in rows if row["error"]]
    broken = {
        str(path) for path in (*clips.vanishing, *(path for each in clips.broken.values() for path in each))
    }
    listed = {line.partition(": FAILED: ")[0] for line in ended.printed if ": FAILED: " in line}
    shown = {path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in broken}
    return {
        "files": clips.num_good + len(broken),
        "predicted": len(predicted),
        "failed": len(failed),
        "missing": clips.num_good + len(broken) - len(predicted | set(failed)),
        "twice": len(failed) - len(set(failed)) + len(predicted & set(failed)),
        "broken without a reason": len(broken - set(failed)),
        "good with a reason": len(set(failed) - broken),
        "broken that were not printed": len(shown - listed),
        "status": ended.status,
    }


def measure_train(options: argparse.Namespace) -> dict[str, Any]:
    """Memory and open files by epoch."""
    folder = options.work / "train"
    data = render(folder / "clips", clips_per_class=4, val_clips_per_class=1, size=32, progress=False)
    output = folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    epochs = partial(_rows_of, output / "metrics.csv")
    words = training_words(data, output, epochs=options.epochs, workers=options.workers)

    def at_look(_process: Any, look: Look) -> None:
        say(f"train: epoch {look.done} of {options.epochs} ")

    began = time.perf_counter()
    ended = Watched(words, done=epochs, at_look=at_look).run()
    if ended.status:
        raise SystemExit(f"the training ended with {ended.status}:\n{ended.errors}")
    rows: dict[str, Any] = {
        "training": {"epochs": epochs(), "seconds": round(time.perf_counter() - began, 1), "status": 0}
    }
    looks = [
        look for look in ended.looks if look.done < options.epochs
    ]  # then workers end, files are written
    for part in ("main_kib", "children_kib", "open_files"):
        rows[part] = {**growth(looks, part, 10), "by epoch": by_epoch(looks, part)}
    return rows


def _rows_of(table: Path) -> int:
    return max(0, len(table.read_text().splitlines()) - 1) if table.exists() else 0


def training_words(data: Path, output: Path, *, epochs: int, workers: int) -> list[str]:
    """A small training, of which each run gives the same weights."""
    return [
        *("train", str(data), "--model", "tin_resnet18", "--pretrained=false", "--num_segments=4"),
        *("--model_args", '{"layers": [1, 1, 1, 1], "channels": [16, 16, 32, 32]}', "--image_size=32"),
        *("--batch_size=8", "--epochs", str(epochs), "--trainer.num_workers", str(workers)),
        *("--trainer.accelerator=cpu", "--output", str(output)),
    ]


def by_epoch(looks: Sequence[Look], part: str) -> dict[str, int]:
    """The largest value that was seen in each tenth epoch."""
    seen: dict[str, int] = {}
    for look in looks:
        if look.done % 10 == 0:
            seen[str(look.done)] = max(seen.get(str(look.done), 0), getattr(look, part))
    return seen


def measure_together(options: argparse.Namespace) -> dict[str, Any]:
    """Each command alone, then all at once in one folder."""
    folder = options.work / "together"
    shutil.rmtree(folder, ignore_errors=True)
    clips = write_clips(folder / "clips", options.together_files)
    data = render(folder / "data", clips_per_class=2, val_clips_per_class=1, size=32, progress=False)
    model = tiny_network(folder)
    for path in clips.vanishing:
        path.unlink()

    def jobs(place: Path) -> dict[str, list[str]]:
        predict = ["predict", *clips.arguments, "--model", str(model), "--device=cpu", "--output"]
        flow = ["flow", str(data), "--num_workers=1", "--output", str(place / "flow")]
        train = partial(training_words, data, epochs=3, workers=1)
        return {
            "training a": [*train(place / "a"), "--seed=1"],
            "training b": [*train(place / "b"), "--seed=2"],
            "prediction a": [*predict, str(place / "a.csv")],
            "prediction b": [*predict, str(place / "b.json"), "--top_k=2"],
            "flow": flow,
            "flow again": flow,
        }

    alone, shared = folder / "alone", folder / "shared"
    expected = {}
    for number, (name, words) in enumerate(jobs(alone).items(), 1):
        say(f"together: {name} alone, {number} of {len(jobs(alone))} ")
        expected[name] = Watched(words).run().status
    print("\rtogether: all at once", flush=True)
    second = {name: words for name, words in jobs(shared).items() if name in ("training a", "prediction a")}
    ended = all_at_once(jobs(shared), second)
    rows: dict[str, Any] = {
        name: {"status": ended[name].status, "status alone": status} for name, status in expected.items()
    }
    for name in ("a", "b"):
        same = same_weights(alone / name / "last.safetensors", shared / name / "last.safetensors")
        rows[f"training {name}"]["same weights"] = same
    for name, file in (("a", "a.csv"), ("b", "b.json")):
        same = (alone / file).read_bytes() == (shared / file).read_bytes()
        rows[f"prediction {name}"]["same bytes"] = same
    rows["flow"]["same files"] = rows["flow again"]["same files"] = same_files(
        alone / "flow", shared / "flow"
    )
    for name in second:
        late = ended.get(f"second {name}")  # None: the first one was too quick
        rows[f"second {name}"] = {
            "status": late.status if late else None,
            "refused": late is not None and "is under way in process" in late.errors,
        }
    rows["folder"] = {
        "left over": sorted(path.name for path in shared.rglob(".*") if not path.is_dir()),
    }
    return rows


def all_at_once(jobs: dict[str, list[str]], second: dict[str, list[str]]) -> dict[str, Ended]:
    """Run them side by side; a second one of a kind runs while the first, with its output begun, stands still."""
    ended: dict[str, Ended] = {}

    def run(name: str, words: list[str]) -> None:
        def at_look(process: Any, _look: Look) -> None:
            if name in second and f"second {name}" not in ended and begun(words).exists():
                os.kill(process.pid, signal.SIGSTOP)
                try:
                    ended[f"second {name}"] = Watched(second[name]).run()
                finally:
                    os.kill(process.pid, signal.SIGCONT)

        ended[name] = Watched(words, at_look=at_look).run()

    threads = [threading.Thread(target=run, args=job) for job in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def begun(words: list[str]) -> Path:
    """What is there once a command has begun with its output."""
    output = Path(words[words.index("--output") + 1])
    return journal_file(output) if output.suffix else output / "config.yaml"


def same_weights(one: Path, other: Path) -> bool:
    """Bit for bit."""
    first, second = load_file(one), load_file(other)
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def same_files(one: Path, other: Path) -> bool:
    """The same names with the same content."""
    found = [
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (one, other)
    ]
    return found[0] == found[1] and len(found[0]) > 0


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "load": measure_load,
    "train": measure_train,
    "together": measure_together,
}


def title_of(part: str, options: argparse.Namespace) -> str:
    """The case's name in the results."""
    size = {
        "load": f"{options.files} files",
        "train": f"{options.epochs} epochs with {options.workers} workers",
        "together": f"{options.together_files} files",
    }
    return f"{part}, {size[part]}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--files", type=int, default=5000, help="of load")
    parser.add_argument("--epochs", type=int, default=50, help="of train")
    parser.add_argument("--workers", type=int, default=2, help="of train")
    parser.add_argument("--together-files", type=int, default=100, help="of together")
    parser.add_argument("--work", type=Path, default=Path("runs/soak"), help="folder of clips and outputs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of soak.json")
    parser.add_argument("--resume", action="store_true", help="leave out what this commit has measured here")
    options = parser.parse_args(argv)
    if min(options.files, options.epochs, options.together_files) < 20:
        parser.error("--files, --epochs and --together-files are at least 20")
    options.work = options.work.resolve()
    torch.set_num_threads(1)
    run = Record("soak", folder=options.results)
    for part in options.parts:
        title = title_of(part, options)
        if options.resume and run.has(title):
            print(f"{title}: has been measured with this commit")
            continue
        run.add(title, MEASURES[part](options))
    print(f"\nwritten: {run.file}")


if __name__ == "__main__":
    main()
