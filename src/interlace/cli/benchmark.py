"""`interlace benchmark MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Measure a network."""
    return benchmark(**parse("benchmark", benchmark, arguments))


def benchmark(
    model: str,
    *,
    batch: int = 1,
    num_segments: int | None = None,
    image_size: int | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    threads: int | None = None,
    optimize: bool = False,
    train: bool = False,
    device: str = "auto",
    rounds: int = 15,
    against: str | None = None,
    json: Path | None = None,
) -> int:
    """Measure what a network costs on this machine: time, arithmetic, memory, and the ratio to the plain TSN.

    The two networks are timed in turn, so that only the ratio depends little on what else the machine does.

    Args:
        model: Name (`interlace models` lists them) or checkpoint that `interlace train` wrote.
        batch: Clips in a batch.
        num_segments: Frames in a clip, of an ensemble all parts together; by default the checkpoint's, or as many as
            the method was published with.
        image_size: Height and width of the frames; by default the checkpoint's, or 224.
        dtype: Precision: float32, bfloat16 or float16.
        threads: Threads of the CPU; by default PyTorch's choice.
        optimize: Measure the networks as `interlace.optimize` makes them; --no-optimize, the default, as they are.
        train: Measure a training step (forward and backward) instead of a prediction.
        device: auto, cpu, cuda, cuda:1 or mps.
        rounds: Measurements of each network.
        against: Name or checkpoint of the network to compare with; by default the plain TSN of the same backbone, on
            as many frames (beside two streams only on the colors).
        json: Also write the numbers, with versions and commit, to this file.
    """
    import torch

    from interlace.allocator import keep_freed_memory
    from interlace.benchmark import benchmark_model

    for option, number in (("threads", threads), ("batch", batch), ("rounds", rounds)):
        if number is not None and number < 1:
            raise ValueError(f"--{option} {number} must be at least 1")
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    report = benchmark_model(
        model,
        against=against,
        batch_size=batch,
        num_segments=num_segments,
        image_size=image_size,
        dtype=dtype,
        optimize=optimize,
        train=train,
        device=device,
        rounds=rounds,
        progress=_show,
    )
    _show("")
    print(report)
    if json is not None:
        _write(json, report.to_dict())
    return 0


def _show(message: str) -> None:
    """One line on a terminal that tells what is being done, each in the place of the last."""
    import sys

    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)


def _write(file: Path, numbers: dict[str, object]) -> None:
    import json

    from interlace.files import whole_file
    from interlace.provenance import provenance

    with whole_file(file) as beside:
        beside.write_text(json.dumps({**provenance(), **numbers}, indent=1) + "\n")
    print(f"\nwritten: {file}")
