"""The operators: time against a plain clone, bytes a second against the copy bandwidth of the machine.

    python benchmarks/op.py [--stages 1 2 3 4] [--dtypes float32 bfloat16] [--layouts contiguous channels_last]

The tensors are what the first convolution of a block sees in each stage of ResNet-50 at 224 x 224; a quarter of
the channels moves. Forward: ratios to a clone of the whole tensor. Forward and backward: to two clones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines.hat import hat_interlace
from baselines.interlace import bytes_moved, published_interlace
from baselines.shift import published_shift
from interlace import ops
from timing import Record, ceilings, common_options, compare, prepare, stopwatch

STAGES = {1: (256, 56), 2: (512, 28), 3: (1024, 14), 4: (2048, 7)}
"""Channels and size of ResNet-50's four stages."""
OFFSET = ((0.5, 1.3, -0.5, -1.3),)
Operator = Callable[..., Tensor]


@dataclass(frozen=True)
class Alternative:
    """One way to do it, and the bytes that its forward moves as it is written."""

    run: Operator
    needed: int
    moved_only: bool = False
    """It is given the channels that move, a view of the whole tensor, and returns no others."""


def whole_tensor(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Ours: all channels come back, a quarter of them moved."""
    return ops.interlace(x, offset, weight, fold=x.shape[2] // 4)


def alternatives(whole: int) -> dict[str, Alternative]:
    """All of them, for a tensor of so many bytes."""
    fold = whole // 4
    return {
        "clone": Alternative(lambda x, *_: x.clone(), 2 * whole),
        "temporal_shift": Alternative(lambda x, *_: ops.temporal_shift(x, 8), 2 * whole),
        "published shift": Alternative(lambda x, *_: published_shift(x, 8), 3 * whole),
        "interlace": Alternative(whole_tensor, 2 * whole),
        "interlace, moved channels only": Alternative(ops.interlace, 2 * fold, moved_only=True),
        "published interlace": Alternative(
            lambda x, o, w: published_interlace(x, o, w, x.shape[2] // 4), bytes_moved(whole, fold)
        ),
        "plain definition": Alternative(
            lambda x, o, w: hat_interlace(x, o, w, x.shape[2] // 4), 4 * fold + 2 * whole
        ),
    }


def forward_calls(x: Tensor, offset: Tensor, weight: Tensor) -> dict[str, Callable[[], Any]]:
    buffer = torch.empty_like(x)
    calls: dict[str, Callable[[], Any]] = {"clone": x.clone, "copy into a buffer": lambda: buffer.copy_(x)}
    for name, way in alternatives(x.nbytes).items():
        given = x[:, :, : x.shape[2] // 4] if way.moved_only else x
        calls.setdefault(name, partial(way.run, given, offset, weight))
    return calls


def backward_calls(
    x: Tensor, offset: Tensor, weight: Tensor, *, and_forward: bool
) -> dict[str, Callable[[], Any]]:
    """The gradients of all that an operator depends on, given that of its output."""

    def call(way: Alternative) -> Callable[[], Any]:
        given = x[:, :, : x.shape[2] // 4] if way.moved_only else x
        leaves = [tensor.detach().requires_grad_() for tensor in (given, offset, weight)]
        out = way.run(*leaves)
        grad = torch.randn_like(out)

        def run() -> Any:
            result = way.run(*leaves) if and_forward else out
            return torch.autograd.grad(result, leaves, grad, retain_graph=not and_forward, allow_unused=True)

        return run

    calls: dict[str, Callable[[], Any]] = {"clone": x.clone}
    if and_forward:
        calls = {"two clones": lambda: (x.clone(), x.clone())}
    return calls | {name: call(way) for name, way in alternatives(x.nbytes).items() if name != "clone"}


def with_bandwidth(rows: dict[str, Any], needed: dict[str, int], copy_gb_per_s: float) -> dict[str, Any]:
    """Adds what moving the needed bytes in the median time comes to, also as a share of a big copy's."""
    for name, numbers in rows.items():
        if name in needed:
            speed = needed[name] / numbers["median_ms"] / 1e6
            numbers |= {"mib": round(needed[name] / 2**20, 2), "gb_per_s": round(speed, 2)}
            numbers["of_copy"] = round(speed / copy_gb_per_s, 3)
    return rows


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 2, 3, 4], choices=STAGES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--layouts", nargs="+", default=["contiguous", "channels_last"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    prepare(options.threads)
    run = Record("interlace_op", device=options.device)
    limits = ceilings(options.device)
    run.add("ceilings", {"measured": limits})
    for stage in options.stages:
        channels, size = STAGES[stage]
        for dtype in options.dtypes:
            for layout in options.layouts:
                case = f"stage {stage}, batch {options.batch}, {dtype}, {layout}"
                measure_case(run, case, clip(options, channels, size, dtype, layout), options.rounds, limits)
    print(f"\nwritten: {run.file.name}")


def clip(options: Any, channels: int, size: int, dtype: str, layout: str) -> Tensor:
    """Frames as a network has them, as clips (B, T, C, H, W)."""
    frames = torch.randn(options.batch * 8, channels, size, size, device=options.device).to(
        getattr(torch, dtype)
    )
    if layout == "channels_last":
        frames = frames.contiguous(memory_format=torch.channels_last)
    return frames.unflatten(0, (options.batch, 8))


def measure_case(run: Record, case: str, x: Tensor, rounds: int, limits: dict[str, float]) -> None:
    """Forward, backward, and both of one tensor."""
    B = x.shape[0]
    offset = torch.tensor(OFFSET, device=x.device).expand(B, -1).contiguous()
    weight = torch.rand(B, 8, 4, device=x.device)
    calls = max(
        5, 2**25 // x.nbytes
    )  # long enough for the clock, and each way finds the caches as it left them
    fold = x.nbytes // 4
    forward_bytes = {name: way.needed for name, way in alternatives(x.nbytes).items()}
    forward_bytes["copy into a buffer"] = 2 * x.nbytes
    # Reads the gradient and, for those of offset and weight, the fold of x; writes the gradient of x.
    ours = {"interlace": 2 * x.nbytes + fold, "interlace, moved channels only": 3 * fold}
    backward_bytes = {"clone": 2 * x.nbytes, "temporal_shift": 2 * x.nbytes, **ours}
    settings: dict[str, Any] = {"rounds": rounds, "calls": calls, "measure": stopwatch(x.device)}
    with torch.inference_mode():
        rows = compare(forward_calls(x, offset, weight), **settings)
    run.add(f"{case}, forward", with_bandwidth(rows, forward_bytes, limits["copy_gb_per_s"]))
    rows = compare(backward_calls(x, offset, weight, and_forward=False), **settings)
    run.add(f"{case}, backward", with_bandwidth(rows, backward_bytes, limits["copy_gb_per_s"]))
    rows = compare(backward_calls(x, offset, weight, and_forward=True), **settings)
    run.add(f"{case}, forward and backward", rows)


if __name__ == "__main__":
    main()
