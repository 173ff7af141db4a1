"""Peak memory of a training step and of a prediction, each network in a process of its own.

    python benchmarks/memory.py [--backbone resnet50] [--frames 8] [--batch 1]

held_mib     tensors that are there before: weights, buffers, the clip
peak_mib     held, and what the call holds beyond it at its peak, by the allocator's own count: exact
saved_mib    what autograd keeps for the backward, each storage once (part of the peak; training only)
resident_mib how far the process grew beyond its size before the first call, as the system sees it (CPU only;
             this includes libraries' working memory and what the allocator keeps, and varies from run to run)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import interlace
from baselines.networks import published
from interlace.benchmark.memory import held_bytes, peak_bytes
from interlace.benchmark.model import forward, training_step
from timing import Record, common_options, prepare

NETWORKS = ("tsn", "tsm", "tin", "published tsm", "published tin")
STEPS: dict[str, Callable[..., Callable[[], Any]]] = {"inference": forward, "training step": training_step}
MIB = 2**20


def measure(
    network: str, step: str, backbone: str, frames: int, batch: int, size: int, device: str
) -> dict[str, float]:
    """One network in this process, which must be fresh for resident_mib to mean anything."""
    method = network.removeprefix("published ")
    model: nn.Module = interlace.create_model(f"{method}_{backbone}", num_classes=174, num_segments=frames)
    if network != method:
        model = published(model)
    model = model.to(device).train(step == "training step")
    clip = torch.randn(batch, frames, 3, size, size, device=device)
    call = STEPS[step](model, clip)
    numbers = {}
    if device == "cpu":
        before = _status_kib("VmRSS")
        _forget_resident_peak()
        call()
        numbers["resident_mib"] = round((_status_kib("VmHWM") - before) / 1024, 1)
    else:
        call()  # libraries take their working memory at the first call
    held = held_bytes([*model.parameters(), *model.buffers(), clip])
    numbers["held_mib"] = round(held / MIB, 1)
    numbers["peak_mib"] = round((held + peak_bytes(call, device)) / MIB, 1)
    if step == "training step":
        numbers["saved_mib"] = round(saved_bytes(lambda: model(clip)) / MIB, 1)
    return numbers


def saved_bytes(run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps for the backward of what a call returns, without parameters; each storage once."""
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = run()
    number = held_bytes(saved)
    del out
    return number


def _status_kib(field: str) -> int:
    """VmRSS, the resident size now, or VmHWM, its peak; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def _forget_resident_peak() -> None:
    """Let VmHWM begin anew from here."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def in_fresh_process(options: argparse.Namespace, network: str, step: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", network, "--step", step, "--threads", str(options.threads)]
    for option in ("device", "backbone", "frames", "batch", "size"):
        command += [f"--{option}", str(getattr(options, option))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{network}, {step}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument(
        "--one", choices=NETWORKS, help="measure this network here and print its numbers as JSON"
    )
    parser.add_argument("--step", choices=STEPS, default="inference", help="for --one")
    options = parser.parse_args()
    prepare(options.threads)
    if options.one:
        where = (options.backbone, options.frames, options.batch, options.size, options.device)
        print(json.dumps(measure(options.one, options.step, *where)))
        return
    run = Record("memory", device=options.device)
    for step in STEPS:
        rows: dict[str, dict[str, float]] = {}
        for network in NETWORKS:
            rows[network] = in_fresh_process(options, network, step)
            rows[network]["ratio"] = round(rows[network]["peak_mib"] / rows["tsn"]["peak_mib"], 3)
        run.add(f"{options.backbone}, {options.frames} frames, batch {options.batch}, {step}", rows)
    print(f"\nwritten: {run.file.name}")


if __name__ == "__main__":
    main()
