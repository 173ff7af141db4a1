"""TSN, TSM and TIN beside the published arithmetic of TSM and TIN, the alternatives timed in turn.

    python benchmarks/network.py                 # the rows of the table of targets: ResNet-50, 8 frames, batch 1
    python benchmarks/network.py --i3d           # and TIN beside I3D
    python benchmarks/network.py --all --resume  # everything; what this commit has already is left out

Ratios are to TSN of the same case, and to the published arithmetic of TIN. In the cases `optimised` ours went through
`interlace.optimize`, and beside them stands the published arithmetic as it was published: eager, in float32.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import interlace
from baselines.networks import published
from interlace.benchmark.model import forward, training_step
from interlace.models import VideoClassifier
from timing import Record, ceilings, common_options, compare, prepare, stopwatch

NUM_CLASSES, SIZE = 174, 224
MODES = ("eager", "channels_last", "optimised")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PUBLISHED = "published tin, eager float32"


class Case(NamedTuple):
    """One set of alternatives that are timed in turn."""

    backbone: str
    frames: int
    batch: int
    mode: str
    dtype: str
    step: str

    def __str__(self) -> str:
        return f"{self.backbone}, {self.frames} frames, batch {self.batch}, {self.mode}, {self.dtype}, {self.step}"


TARGETS = (
    Case("resnet50", 8, 1, "eager", "float32", "inference"),
    Case("resnet50", 8, 1, "eager", "float32", "training step"),
    Case("resnet50", 8, 1, "optimised", "float32", "inference"),
    Case("resnet50", 8, 1, "optimised", "bfloat16", "inference"),
)
"""What the table of targets is made of."""
BESIDE_I3D = "resnet50, batch 1, inference, beside i3d"


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    """The cases of the options; without any, those of the table of targets."""
    names = ("backbones", "frames", "batch", "modes", "dtypes", "steps")
    asked = [getattr(options, name) for name in names]
    if not options.all and not any(asked):
        return list(TARGETS)
    steps = ["inference", "training step"]
    target: tuple[list[Any], ...] = (["resnet50"], [8], [1], ["eager", "optimised"], ["float32"], steps)
    backbones = ["resnet50", "resnet18", "mobilenetv2_100"]
    everything: tuple[list[Any], ...] = (backbones, [8, 16], [1, 8], [*MODES], [*DTYPES], steps)
    default = everything if options.all else target
    choices: list[list[Any]] = [own or other for own, other in zip(asked, default, strict=True)]
    cases = [Case(*values) for values in itertools.product(*choices)]
    return [case for case in cases if not (case.mode == "optimised" and case.step == "training step")]


def alternatives(case: Case, device: str) -> dict[str, Callable[[], Any]]:
    """The calls of one case, TSN's first."""
    clip = torch.randn(case.batch, case.frames, 3, SIZE, SIZE, device=device)
    plain = {
        method: interlace.create_model(
            f"{method}_{case.backbone}", num_classes=NUM_CLASSES, num_segments=case.frames
        ).to(device)
        for method in ("tsn", "tsm", "tin")
    }
    theirs = {f"published {method}": published(plain[method]) for method in ("tsm", "tin")}
    if case.mode == "optimised":
        ours = {name: optimised(model.eval(), DTYPES[case.dtype], name) for name, model in plain.items()}
        base = theirs["published tin"].eval()
        return {
            **{name: forward(model, clip) for name, model in ours.items()},
            PUBLISHED: forward(base, clip),
        }
    step = training_step if case.step == "training step" else forward
    calls: dict[str, Callable[[], Any]] = {}
    for name, model in {**plain, **theirs}.items():
        model.train(case.step == "training step")
        if case.mode == "channels_last":
            model = model.to(memory_format=torch.channels_last)
        calls[name] = step(model, in_layout(clip, case.mode), DTYPES[case.dtype])
    return calls


def in_layout(clip: Tensor, mode: str) -> Tensor:
    """The clip, its frames channels-last if the mode says so."""
    if mode != "channels_last":
        return clip
    frames = clip.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return frames.unflatten(0, clip.shape[:2])


def optimised(model: VideoClassifier, dtype: torch.dtype, name: str) -> nn.Module:
    print(f"optimising {name} ...", flush=True)
    return interlace.optimize(model, dtype=dtype)


def measure(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    calls = alternatives(case, options.device)
    theirs = PUBLISHED if case.mode == "optimised" else "published tin"
    return compare(
        calls,
        rounds=options.rounds or (7 if case.step == "training step" else 15),
        also=[theirs],
        measure=stopwatch(options.device),
        progress=lambda done, total: print(f"\r{case}: round {done} of {total} ", end="", flush=True),
    )


def measure_i3d(options: argparse.Namespace) -> dict[str, Any]:
    """TIN with 8 frames beside I3D with 32, as the paper compares them: one clip each."""
    device = options.device
    short, long = (torch.randn(1, frames, 3, SIZE, SIZE, device=device) for frames in (8, 32))
    tsn, tin = (
        interlace.create_model(f"{method}_resnet50", num_classes=NUM_CLASSES).to(device).eval()
        for method in ("tsn", "tin")
    )
    calls = {
        "i3d": forward(
            interlace.create_model("i3d_resnet50", num_classes=NUM_CLASSES).to(device).eval(), long
        ),
        "tsn": forward(tsn, short),
        "tin": forward(tin, short),
        "published tin": forward(published(tin), short),
    }
    for name, dtype in DTYPES.items():
        calls[f"tin, optimised, {name}"] = forward(optimised(tin, dtype, f"tin in {name}"), short)
    return compare(calls, rounds=options.rounds or 7, measure=stopwatch(device))


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--backbones", nargs="+", help="timm's names, e.g. resnet50 resnet18 mobilenetv2_100")
    parser.add_argument("--frames", nargs="+", type=int, help="frames in a clip, e.g. 8 16")
    parser.add_argument("--batch", nargs="+", type=int, help="clips in a batch, e.g. 1 8")
    parser.add_argument("--modes", nargs="+", choices=MODES)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES)
    parser.add_argument("--steps", nargs="+", choices=("inference", "training step"))
    parser.add_argument("--all", action="store_true", help="everything that is not given (hours)")
    parser.add_argument("--i3d", action="store_true", help="also TIN beside I3D")
    parser.add_argument("--rounds", type=int, help="by default 15, training steps 7")
    parser.add_argument("--resume", action="store_true", help="leave out what this commit has measured here")
    options = parser.parse_args()
    prepare(options.threads)
    run = Record("network", device=options.device)
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        str(case): partial(measure, case, options) for case in chosen_cases(options)
    }
    if options.i3d:
        cases[BESIDE_I3D] = lambda: measure_i3d(options)
    run.add("ceilings", {"measured": ceilings(options.device)})
    for number, (name, measured) in enumerate(cases.items(), 1):
        if options.resume and run.has(name):
            print(f"[{number}/{len(cases)}] {name}: has been measured with this commit")
            continue
        print(f"\n[{number}/{len(cases)}] {name}", flush=True)
        run.add(name, measured())
    print(f"\nwritten: {run.file.name}")


if __name__ == "__main__":
    main()
