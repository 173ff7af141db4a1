"""Where the time of a call goes, by kind of operation, as PyTorch's profiler sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode

# The first kind whose words are in an operation's name has its time.
KINDS: dict[str, tuple[str, ...]] = {
    "interlaced convolutions": ("interlace::conv2d",),
    "temporal operators": ("interlace::",),
    "compiled code": ("compiled", "triton_", "inductor"),
    "convolutions": ("conv",),
    "normalisation": ("_norm",),
    "activations": ("relu", "hardtanh", "threshold", "clamp", "silu", "hardswish", "gelu", "sigmoid"),
    "pooling and means": ("pool", "aten::mean", "aten::sum"),
    "matrix products": ("mm", "linear", "matmul"),
    "additions": ("aten::add", "aten::mul"),
    "copies": ("copy", "cat", "clone", "contiguous", "zero", "fill", "_to_"),
}


class _MarkOperators(TorchDispatchMode):
    """Gives our operators, which the profiler does not see by themselves, a name in its records."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.name().startswith("interlace::"):
            return func(*args, **(kwargs or {}))
        with torch.profiler.record_function(func.name()):
            return func(*args, **(kwargs or {}))


def time_shares(
    run: Callable[[], Any], device: str | torch.device = "cpu", *, calls: int = 3, compiled: bool = False
) -> dict[str, float]:
    """The share of each kind of operation in the time of a call, largest first; together they are 1.

    "Interlaced convolutions" do both in one, "convolutions" are also the small ones of TIN's offset and weight
    nets, and "other" is what has no kind here.
    Inside a compiled network (``compiled``) operators cannot be told apart; most of it is "compiled code".

    Example:
        >>> import torch
        >>> from interlace.benchmark import time_shares
        >>> x = torch.rand(200, 200)
        >>> next(iter(time_shares(lambda: x @ x)))
        'matrix products'
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    on_gpu = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    run()
    marks = nullcontext() if compiled else _MarkOperators()
    with torch.profiler.profile(activities=activities, acc_events=True) as profiler, marks:
        for _ in range(calls):
            run()
        if on_gpu:
            torch.cuda.synchronize(device)
    times: dict[str, float] = {}
    for event in profiler.events():
        # A GPU's kernels are counted at the operation that started them, not once more by themselves.
        if event.device_type.name == "CPU":
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            kind = _kind_of_event(event)
            times[kind] = times.get(kind, 0.0) + spent
    total = sum(times.values()) or 1.0
    return {kind: times[kind] / total for kind in sorted(times, key=lambda kind: -times[kind])}


def kind_of(operation: str) -> str:
    """The kind of an operation of the profiler.

    Example:
        >>> from interlace.benchmark.parts import kind_of
        >>> kind_of("aten::mkldnn_convolution"), kind_of("aten::native_batch_norm"), kind_of("aten::view")
        ('convolutions', 'normalisation', 'other')
    """
    name = operation.lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")


def _kind_of_event(event: Any) -> str:
    """The kind of an operation; what one of our operators is made of counts as the operator."""
    outer = event
    while outer is not None:
        if kind_of(outer.name) in ("interlaced convolutions", "temporal operators"):
            return kind_of(outer.name)
        outer = outer.cpu_parent
    return kind_of(event.name)
