"""The machine that a time was measured on: what it is, not what it is called."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from interlace import doctor


def describe_machine(device: str | torch.device = "cpu") -> dict[str, Any]:
    """Processor, cores, threads, memory, allocator and operators, and the GPU if it is one; no host name, no path.

    Example:
        >>> from interlace.benchmark import describe_machine
        >>> sorted(describe_machine())
        ['allocator', 'cores', 'cpu', 'device', 'memory_gib', 'operators', 'threads']
    """
    device = torch.device(device)
    facts: dict[str, Any] = {
        "device": device.type,
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": _memory_gib(),
        "allocator": doctor.allocator()[0].value,
        "operators": doctor.operators()[0].value,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def _processor() -> str:
    """Name and vector instructions of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    text = cpuinfo.read_text()
    fields = {
        line.split(":")[0].strip(): line.split(":")[1].strip() for line in text.splitlines() if ":" in line
    }
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16") if flag in flags]
    return " ".join([fields.get("model name", platform.machine()), *known])


def _memory_gib() -> int | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
