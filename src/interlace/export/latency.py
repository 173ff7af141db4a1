"""The time of one answer: the network, its optimised copy and the exported ones in turn, in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from interlace.benchmark.timing import compare, stopwatch

EAGER = "eager"
"""The network as it was trained; every other time is also told as a ratio to its time."""


def measure_latency(
    networks: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 15,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, float]]:
    """Milliseconds of a call of each network, timed in turn: A B C A B C ...

    Each is called once before each measurement. The threads of the one before it wait for more work for a while before
    they sleep, in every library, and would be counted as time of the one after it.

    Args:
        networks: functions by name; one is "eager", to whose time in the same round the ratios are taken.
        rounds: measurements of each.
        progress: is told which round it is.

    Returns:
        by name: median_ms, min_ms, max_ms, spread and ratio, as :func:`interlace.benchmark.compare` gives them.

    Raises:
        ValueError: none is called "eager", or there are no rounds.

    Example:
        >>> from interlace.export.latency import measure_latency
        >>> times = measure_latency({"eager": lambda: sum(range(9000)), "faster": lambda: None}, rounds=3)
        >>> times["eager"]["ratio"], times["faster"]["ratio"] < 1
        (1.0, True)
    """
    times = compare(
        networks,
        rounds=rounds,
        warmup=2,
        base=EAGER,
        measure=_after_one_call,
        progress=lambda done, total: progress(f"timing in turn (round {done} of {total})"),
    )
    columns = ("median_ms", "min_ms", "max_ms", "spread", "ratio")
    return {name: {column: numbers[column] for column in columns} for name, numbers in times.items()}


def _after_one_call(run: Callable[[], Any]) -> float:
    run()
    return stopwatch("cpu")(run)
