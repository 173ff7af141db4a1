"""Time alternatives in turn, A B C A B C ..., so that a machine whose speed drifts slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Measure = Callable[[Callable[[], Any]], float]
"""Calls a function and returns how many milliseconds it took."""


def stopwatch(device: str | torch.device) -> Measure:
    """The clock of a device: events of its stream on CUDA, else wall time until it is done.

    Example:
        >>> from interlace.benchmark import stopwatch
        >>> stopwatch("cpu")(lambda: sum(range(1000))) > 0
        True
    """
    return {"cuda": _event_ms, "mps": _mps_ms}.get(torch.device(device).type, _wall_ms)


def compare(
    alternatives: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 15,
    warmup: int = 2,
    base: str | None = None,
    also: Sequence[str] = (),
    calls: int = 1,
    measure: Measure | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Milliseconds of a call of each alternative, and its ratio to the base: the median of the ratios by round.

    Args:
        alternatives: functions by name.
        rounds: how often each is measured.
        warmup: rounds before that, not counted.
        base: what ``ratio`` is taken to; by default the first.
        also: further alternatives, each with a column ``ratio to NAME``.
        calls: calls in one measurement; more than 1 where a call is shorter than the clock is good for.
        measure: the clock, see :func:`stopwatch`; by default wall time.
        progress: is told how many rounds of how many are done.

    Returns:
        by name: median_ms, min_ms, max_ms, spread (the middle half of the measurements over their median),
        faults (memory pages that the system had to provide in a call, median; 0 where it does not tell),
        ratio, and the ratios asked for by ``also``.

    Raises:
        ValueError: base or also name no alternative, or there is nothing to do.

    Example:
        >>> from interlace.benchmark import compare
        >>> sorted(compare({"sum": lambda: sum(range(1000))}, rounds=3)["sum"])
        ['faults', 'max_ms', 'median_ms', 'min_ms', 'ratio', 'spread']
    """
    unknown = [name for name in (*([base] if base else []), *also) if name not in alternatives]
    if unknown or not alternatives or min(rounds, calls) < 1:
        raise ValueError(
            f"rounds={rounds} and calls={calls} must be at least 1, and {unknown} one of {list(alternatives)}"
        )
    measure = measure or _wall_ms
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    faults: dict[str, list[float]] = {name: [] for name in alternatives}
    for round_number in range(warmup + rounds):
        for name, run in alternatives.items():
            before = _page_faults()
            milliseconds = measure(_repeated(run, calls)) / calls
            if round_number >= warmup:
                times[name].append(milliseconds)
                faults[name].append((_page_faults() - before) / calls)
        if progress is not None:
            progress(round_number + 1, warmup + rounds)
    bases = {"ratio": base or next(iter(alternatives)), **{f"ratio to {name}": name for name in also}}
    return {
        name: {
            "median_ms": round(statistics.median(values), 4),
            "min_ms": round(min(values), 4),
            "max_ms": round(max(values), 4),
            "spread": round(_middle_half(values) / statistics.median(values), 3),
            "faults": float(round(statistics.median(faults[name]))),
            **{column: median_ratio(values, times[other]) for column, other in bases.items()},
        }
        for name, values in times.items()
    }


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median over the rounds of one alternative's time over the other's in the same round."""
    return round(statistics.median(a / b for a, b in zip(values, base, strict=True)), 3)


def _repeated(run: Callable[[], Any], calls: int) -> Callable[[], None]:
    def all_calls() -> None:
        for _ in range(calls):
            run()

    return all_calls


def _middle_half(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return quartiles[2] - quartiles[0]


def _wall_ms(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def _mps_ms(run: Callable[[], Any]) -> float:
    torch.mps.synchronize()  # so that nothing of the alternative before it is counted

    def until_done() -> None:
        run()
        torch.mps.synchronize()

    return _wall_ms(until_done)


def _event_ms(run: Callable[[], Any]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def _page_faults() -> int:
    """Pages that this process was given so far; 0 where the system does not count them."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
