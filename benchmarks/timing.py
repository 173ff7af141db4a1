"""Time alternatives in turn, A B C A B C ..., so that a machine whose speed drifts slows all of them alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from interlace.provenance import provenance

RESULTS = Path(__file__).resolve().parent / "results"


def compare(
    alternatives: Mapping[str, Callable[[], Any]], *, rounds: int = 15, warmup: int = 2
) -> dict[str, dict[str, float]]:
    """Median milliseconds of each alternative, its spread, and its median ratio to the first, taken round by round."""
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for round_number in range(warmup + rounds):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            if round_number >= warmup:
                times[name].append(1000 * (time.perf_counter() - start))
    base = times[next(iter(times))]
    return {
        name: {
            "median_ms": round(statistics.median(values), 3),
            "min_ms": round(min(values), 3),
            "max_ms": round(max(values), 3),
            "ratio": round(statistics.median(a / b for a, b in zip(values, base, strict=True)), 3),
        }
        for name, values in times.items()
    }


def record(name: str, results: Mapping[str, Any]) -> None:
    """Append one run to `results/NAME.json`, which keeps every earlier one, and print it."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    history = json.loads(file.read_text()) if file.exists() else []
    history.append({**provenance(), "threads": torch.get_num_threads(), "results": dict(results)})
    file.write_text(json.dumps(history, indent=1) + "\n")
    for case, rows in results.items():
        print(f"\n{name}: {case}")
        for alternative, numbers in rows.items():
            print(f"  {alternative:<34}" + "  ".join(f"{key} {value:9.3f}" for key, value in numbers.items()))
    print(f"\nwritten: {file.relative_to(RESULTS.parent.parent)}")
