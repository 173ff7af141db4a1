"""The forms that the operator could have on a CPU, timed in turn: what the choice of the compiled kernels rests on.

    python benchmarks/forms.py

Plain torch by slices and by index, a T x T matrix for each group, the graphs that torch.compile makes of the last two
(these need a C++ compiler on the user's machine), and the kernels that the wheel carries. Forward of the whole tensor,
a quarter of its channels moved; ratios to a clone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines.hat import hat_interlace
from interlace.ops import _cpu, _dispatch, _index, _slices
from op import OFFSET, STAGES, clip
from timing import Record, common_options, compare, prepare, stopwatch


def with_taps(form: Any) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """A plain form of the moved channels, and the others behind them."""

    def whole(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
        k, _, near, far = _dispatch.taps(offset, weight, x.dtype)
        return torch.cat([form.forward(x[:, :, :fold], k, near, far), x[:, :, fold:]], 2)

    return whole


def forms() -> dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]]:
    """All of them: x, offset, weight and fold in, the whole tensor out."""
    by_index = with_taps(_index)
    found: dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
        "plain, by slices": with_taps(_slices),
        "plain, by index": by_index,
        "matrix over time": hat_interlace,
        "compiled graph, by index": torch.compile(by_index),
        "compiled graph, matrix over time": torch.compile(hat_interlace),
    }
    if _cpu.supports(torch.zeros(1)):
        found["kernels of the wheel"] = _cpu.forward
    return found


def main() -> None:
    options = common_options(__doc__).parse_args()
    prepare(options.threads)
    options.batch = 1
    run = Record("forms")
    for layout in ("contiguous", "channels_last"):
        for stage, (channels, size) in STAGES.items():
            x = clip(options, channels, size, "float32", layout)
            arguments = (x, torch.tensor(OFFSET), torch.rand(1, 8, 4), channels // 4)
            calls: dict[str, Callable[[], Any]] = {"clone": x.clone}
            calls |= {name: partial(form, *arguments) for name, form in forms().items()}
            with torch.inference_mode():
                rows = compare(calls, rounds=9, calls=max(3, 2**24 // x.nbytes), measure=stopwatch("cpu"))
            run.add(f"stage {stage}, float32, {layout}, forward", rows)
    print(f"\nwritten: {run.file.name}")


if __name__ == "__main__":
    main()
