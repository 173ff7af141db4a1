"""The memory that a call needs at its peak, as the allocator counts it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


def peak_bytes(run: Callable[[], Any], device: str | torch.device = "cpu") -> int:
    """Bytes of tensors that one call holds at its peak, beyond those that were there before it.

    On CUDA by the caching allocator's own counter. On the CPU by the allocations and releases that PyTorch's
    profiler records; working memory that oneDNN takes from the system by itself is not among them.

    Raises:
        ValueError: the device is another one, which does not tell.

    Example:
        >>> import torch
        >>> from interlace.benchmark import peak_bytes
        >>> x = torch.zeros(1000)
        >>> peak_bytes(lambda: x.neg().exp())
        8000
    """
    kind = torch.device(device).type
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device {kind!r} does not tell its peak of memory; cpu and cuda do")
    gc.collect()
    if kind == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    return _peak(_allocations(run))


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages of these tensors, each counted once.

    Example:
        >>> import torch
        >>> from interlace.benchmark.memory import held_bytes
        >>> x = torch.zeros(10)
        >>> held_bytes([x, x[:5], torch.zeros(1)])
        44
    """
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _allocations(run: Callable[[], Any]) -> list[int]:
    """Bytes taken (positive) and given back (negative) during a call, in their order."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it writes of devices that are not there to stderr
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profiler:
        run()
    # key_averages() adds them up; the single events are only to be had here.
    events = profiler.profiler.kineto_results.events()
    memory = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    return [size for _, size in sorted(memory, key=lambda event: event[0])]


def _peak(allocations: Iterable[int]) -> int:
    held = peak = 0
    for size in allocations:
        held += size
        peak = max(peak, held)
    return peak
