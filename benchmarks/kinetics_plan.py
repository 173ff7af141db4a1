"""What training on Kinetics-700 takes on 8 machines of 8 GPUs, derived from what one clip costs here.

    python benchmarks/kinetics_plan.py measure          costs of one clip on one core of this machine, recorded
    python benchmarks/kinetics_plan.py plan             the plan, from the newest recorded costs
    python benchmarks/kinetics_plan.py plan --write     the same, into docs/scaling.md

What no machine here can tell, how fast a GPU computes, is a parameter of the plan: it is worked out for several rates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.data.annotations import Annotations, Sample
from interlace.data.dataset import TrainDataset
from interlace.data.sampling import SegmentSampling
from interlace.data.transforms import train_transform
from interlace.files import whole_file
from timing import RESULTS, read_history, record

VIDEOS = RESULTS.parents[2] / "shared" / "data" / "odd_videos"
SOURCES = {"short side 256": "demo.mp4", "720p": "05_default_juggle.mp4"}
"""Clips of ten seconds: one as Kinetics is usually kept (340 x 256, 28 frames a second), one as cameras write it."""
DOCUMENT = RESULTS.parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- plan: begin -->", "<!-- plan: end -->"


@dataclass(frozen=True)
class Given:
    """What is not measured here: the task, the cluster, and how fast its GPUs compute."""

    clips: int = 650_317
    """Kinetics-700 in all (arXiv 1907.06987)."""
    classes: int = 700
    val_per_class: int = 50
    test_per_class: int = 100
    epochs: int = 50
    """Of the recipe tsm_kinetics400."""
    nodes: int = 8
    gpus_per_node: int = 8
    clips_per_gpu: int = 16
    """In a step."""
    cores_per_gpu: int = 16
    """A machine of 128 cores."""
    gigabit_per_second: float = 100.0
    """Of each machine's network."""
    steps_of_prefetch: int = 2
    """Batches that every decoding process holds ready."""

    @property
    def train_clips(self) -> int:
        """Those that are neither for validation nor for the test."""
        return self.clips - self.classes * (self.val_per_class + self.test_per_class)

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True)
class Costs:
    """What one training clip costs, measured on one core, and the size of the network."""

    megabytes: float
    core_seconds: float
    """To read, decode and augment it."""
    parameters: int
    gmacs: float
    """Multiply-accumulates of a forward, in billions."""
    input_megabytes: float
    """The clip as bytes, as the GPU gets it."""


@dataclass(frozen=True)
class Plan:
    """What follows."""

    terabytes: float
    tflop_per_clip: float
    gpu_clips_per_second: float
    """Of one GPU, if it never waits."""
    cores_wanted: float
    """For each GPU, so that it never waits."""
    clips_per_second: float
    """Of one GPU, with the cores that there are."""
    epoch_seconds: float
    total_hours: float
    read_megabytes_per_second: float
    """By one machine."""
    gradient_gigabytes: float
    """That one machine sends in a step."""
    gradient_share: float
    """Part of a step that sending them takes, if nothing overlaps it."""
    busy: float
    """Part of the time that the GPUs compute."""
    waiting_gigabytes: float
    """Clips that the decoding processes of one machine hold ready, a process a core."""


def plan(given: Given, costs: Costs, tflop_per_second: float) -> Plan:
    """The arithmetic, a line for each number of docs/scaling.md."""
    tflop = 3 * 2 * costs.gmacs / 1000  # a multiply-accumulate is two; the backward costs twice the forward
    gpu_rate = tflop_per_second / tflop
    rate = min(gpu_rate, given.cores_per_gpu / costs.core_seconds)
    seconds = given.train_clips / (rate * given.gpus)
    gradient = 4 * costs.parameters / 1e9
    # A ring over the machines: each sends 2 (n - 1) / n of the gradient; within a machine its GPUs add up first.
    sent = 2 * (given.nodes - 1) / given.nodes * gradient
    step = given.clips_per_gpu / rate
    return Plan(
        terabytes=given.clips * costs.megabytes / 1e6,
        tflop_per_clip=tflop,
        gpu_clips_per_second=gpu_rate,
        cores_wanted=gpu_rate * costs.core_seconds,
        clips_per_second=rate,
        epoch_seconds=seconds,
        total_hours=given.epochs * seconds / 3600,
        read_megabytes_per_second=rate * given.gpus_per_node * costs.megabytes,
        gradient_gigabytes=sent,
        gradient_share=sent * 8 / given.gigabit_per_second / step,
        busy=rate / gpu_rate,
        waiting_gigabytes=given.gpus_per_node
        * given.cores_per_gpu
        * given.steps_of_prefetch
        * given.clips_per_gpu
        * costs.input_megabytes
        / 1000,
    )


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Costs of one clip of each source, one thread, after the file has been read once."""
    torch.set_num_threads(1)
    model = interlace.create_model("tin_resnet50", num_classes=Given.classes, num_segments=8)
    network = {
        "parameters": count_parameters(model),
        "gmacs": round(count_macs(model, (1, 8, 3, 224, 224)) / 1e9, 3),
        "input_megabytes": 8 * 3 * 224 * 224 / 1e6,
    }
    rows = {}
    for name, file in SOURCES.items():
        path = VIDEOS / file
        clips = Annotations((Sample(path, (0,)),), ("all",), source=name)
        dataset = TrainDataset(clips, SegmentSampling(8), train_transform(224), seed=0)
        seconds = [timed(lambda dataset=dataset: dataset[0]) for _ in range(rounds + 1)][1:]
        rows[name] = {
            "megabytes": path.stat().st_size / 1e6,
            "core_seconds": round(median(seconds), 5),
            "core_seconds_min": round(min(seconds), 5),
            "core_seconds_max": round(max(seconds), 5),
            **network,
        }
    return rows


def timed(call: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def newest_costs() -> dict[str, Costs]:
    """The newest recorded ones, by source."""
    rows = read_history(RESULTS / "kinetics_plan.json")[-1]["results"]["a training clip, one core"]
    names = Costs.__dataclass_fields__
    return {source: Costs(**{name: row[name] for name in names}) for source, row in rows.items()}


def tables(given: Given, costs: dict[str, Costs], rates: Sequence[float] = (25.0, 50.0, 100.0)) -> str:
    """Markdown: what is given, what was measured, and what follows for each rate of a GPU."""
    lines = ["| given | |", "| --- | --- |"]
    lines += [f"| {name.replace('_', ' ')} | {value:,} |" for name, value in asdict(given).items()]
    lines += [f"| training clips: clips - classes x (val + test per class) | {given.train_clips:,} |", ""]
    lines += [f"| measured | {' | '.join(costs)} |", "| --- |" + " --- |" * len(costs)]
    for field in Costs.__dataclass_fields__:
        cells = " | ".join(f"{getattr(cost, field):,.4g}" for cost in costs.values())
        lines.append(f"| {field.replace('_', ' ')} | {cells} |")
    for source, cost in costs.items():
        plans = [plan(given, cost, rate) for rate in rates]
        heads = " | ".join(f"{rate:g} TFLOP/s" for rate in rates)
        lines += ["", f"| videos of {source}, a GPU sustains | {heads} |", "| --- |" + " --- |" * len(rates)]
        for title, show in ROWS.items():
            lines.append(f"| {title} | {' | '.join(show(made) for made in plans)} |")
    return "\n".join(lines)


ROWS: dict[str, Callable[[Plan], str]] = {
    "bytes of all videos: clips x megabytes": lambda p: f"{p.terabytes:.2f} TB",
    "arithmetic of a training clip: 6 x gmacs": lambda p: f"{p.tflop_per_clip:.3f} TFLOP",
    "clips/s of a GPU that never waits": lambda p: f"{p.gpu_clips_per_second:.0f}",
    "cores that it wants: clips/s x core seconds": lambda p: f"{p.cores_wanted:.0f}",
    "clips/s with the cores given": lambda p: f"{p.clips_per_second:.0f}",
    "part of the time that GPUs compute": lambda p: f"{p.busy:.0%}",
    "an epoch: training clips / (clips/s x GPUs)": lambda p: f"{p.epoch_seconds:.0f} s",
    "all epochs, validation not counted": lambda p: f"{p.total_hours:.1f} h",
    "memory for clips that wait: cores x steps of prefetch x clips x input": lambda p: (
        f"{p.waiting_gigabytes:.1f} GB a machine"
    ),
    "a machine reads": lambda p: f"{p.read_megabytes_per_second:.0f} MB/s",
    "a machine sends in a step: 2 (n - 1) / n x 4 bytes x parameters": lambda p: (
        f"{1000 * p.gradient_gigabytes:.0f} MB"
    ),
    "which is this part of the step, if nothing overlaps": lambda p: f"{p.gradient_share:.1%}",
}


def write(text: str, document: Path = DOCUMENT) -> None:
    """Put the tables between their marks."""
    before, _, rest = document.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{document}: the marks {BEGIN} and {END} are not in it")
    with whole_file(document) as beside:
        beside.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or plan."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("measure", "plan"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    options: Any = parser.parse_args(arguments)
    if options.what == "measure":
        record("kinetics_plan", {"a training clip, one core": measure(options.rounds)})
        return
    text = tables(Given(), newest_costs())
    print(text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
