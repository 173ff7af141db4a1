"""What a network costs on this machine: time, arithmetic, memory."""

from __future__ import annotations

from interlace.benchmark.costs import count_macs, count_parameters
from interlace.benchmark.machine import describe_machine
from interlace.benchmark.memory import peak_bytes
from interlace.benchmark.model import BenchmarkReport, benchmark_model
from interlace.benchmark.parts import time_shares
from interlace.benchmark.timing import compare, stopwatch

__all__ = [
    "BenchmarkReport",
    "benchmark_model",
    "compare",
    "count_macs",
    "count_parameters",
    "describe_machine",
    "peak_bytes",
    "stopwatch",
    "time_shares",
]
