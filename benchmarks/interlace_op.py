"""The operators against a plain copy of the same tensor, forward and backward.

    python benchmarks/interlace_op.py

The sizes are those of the first and the last stage of ResNet-50 at 224 x 224, 8 frames, as the TIN module sees them:
a quarter of the channels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from interlace import ops
from timing import compare, record

SHAPES = {"stage 1": (1, 8, 64, 56, 56), "stage 4": (1, 8, 512, 7, 7)}


def forward_and_backward(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    def run() -> None:
        leaf = x.clone().requires_grad_()
        function(leaf).sum().backward()

    return run


def main() -> None:
    torch.manual_seed(0)
    results = {}
    for stage, shape in SHAPES.items():
        x = torch.randn(shape)
        offset = torch.tensor([[0.5, 1.3, -0.5, -1.3]])
        weight = torch.rand(1, 8, 4)
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "copy": torch.clone,
            "temporal_shift": lambda x: ops.temporal_shift(x, 8),
            "interlace": lambda x, offset=offset, weight=weight: ops.interlace(x, offset, weight),
        }
        with torch.inference_mode():
            results[f"{stage} {shape}, forward"] = compare(
                {name: lambda function=function, x=x: function(x) for name, function in functions.items()}
            )
        results[f"{stage} {shape}, forward and backward"] = compare(
            {name: forward_and_backward(function, x) for name, function in functions.items()}
        )
    record("interlace_op", results)


if __name__ == "__main__":
    main()
