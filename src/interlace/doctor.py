"""What is installed, what is missing, and the command that gets it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from interlace.files import whole_file

REQUIRED = ("torch", "torchvision", "timm", "lightning", "torchmetrics", "safetensors", "matplotlib", "rich")
EXTRAS = {
    "onnxruntime": "checks exported networks",
    "openvino": "runs exported networks faster on Intel CPUs",
    "cv2": "optical flow",
    "webdataset": "writes shards",
    "ray": "predicts over a cluster",
    "pyarrow": "reads and writes Parquet",
}
PIP_NAMES = {
    "cv2": "opencv-contrib-python-headless",
    "webdataset": '"interlace[shards]"',
    "ray": '"interlace[ray]"',
    "pyarrow": '"interlace[ray]"',
}
DECODERS = ("h264", "hevc", "av1", "vp9")
FREE_DISK_GB = 2.0
HUB = "https://huggingface.co"
Status = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    value: str
    status: Status = "ok"
    """ok; note: works without it; missing: something does not work until the remedy is carried out."""
    remedy: str = ""


def diagnose(*, network: bool = False) -> list[Finding]:
    """Look at versions, decoders, devices, extras and disk. A check that fails is itself a finding.

    Args:
        network: Also try to reach the hub of the pretrained weights; otherwise nothing is sent.

    Example:
        >>> from interlace.doctor import diagnose
        >>> diagnose()[0].name
        'python'
    """
    checks: list[Callable[[], list[Finding]]] = [
        python,
        *(lambda name=name: [library(name)] for name in REQUIRED),
        decoding,
        encoding,
        devices,
        processor,
        allocator,
        operators,
        triton,
        *(lambda name=name: [extra(name)] for name in EXTRAS),
        disk,
        lambda: [hub(network)],
    ]
    return [finding for check in checks for finding in _safely(check)]


def _safely(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except (
        Exception
    ) as problem:  # a broken installation fails in any way it likes; the other checks still count
        name = getattr(check, "__name__", "check").strip("<>")
        reason = f"{type(problem).__name__}: {problem}"
        return [Finding(name, reason, "missing", "reinstall: pip install --force-reinstall interlace")]


def python() -> list[Finding]:
    """Version of Python and of this package."""
    from interlace import __version__

    version = f"{platform.python_version()} ({platform.platform()})"
    return [Finding("python", version), Finding("interlace", __version__)]


def library(name: str) -> Finding:
    """A library that everything needs: imported, because an installed one may be broken."""
    install = f"pip install {name}"
    try:
        importlib.import_module(name)
    except Exception as problem:
        absent = isinstance(problem, ModuleNotFoundError) and problem.name == name
        reason = "not installed" if absent else f"does not import: {type(problem).__name__}: {problem}"
        return Finding(name, reason, "missing", install if absent else f"{install} --force-reinstall")
    return Finding(name, metadata.version(name))


def decoding() -> list[Finding]:
    """PyAV, the FFmpeg inside its wheel, and the decoders of the usual codecs."""
    found = library("av")
    if found.status == "missing":
        return [found]
    av = importlib.import_module("av")
    versions = [f"{name} {'.'.join(map(str, parts))}" for name, parts in av.library_versions.items()]
    findings = [found, Finding("FFmpeg", ", ".join(versions))]
    for codec in DECODERS:
        if can(av, codec, "r"):
            findings.append(Finding(f"decoder {codec}", "yes"))
        else:
            remedy = "pip install --force-reinstall av (its wheel has it)"
            status: Status = "missing" if codec == "h264" else "note"
            findings.append(Finding(f"decoder {codec}", "no", status, remedy))
    return findings


def encoding() -> list[Finding]:
    """The encoder that `interlace render` and `interlace demo` need."""
    av = importlib.import_module("av")
    if can(av, "libx264", "w"):
        return [Finding("encoder libx264", "yes")]
    remedy = "pip install --force-reinstall av (its wheel has it; only the built-in data needs it)"
    return [Finding("encoder libx264", "no", "note", remedy)]


def can(av: Any, codec: str, mode: Literal["r", "w"]) -> bool:
    """Whether FFmpeg has a decoder (r) or encoder (w) of this name."""
    try:
        av.codec.Codec(codec, mode)
    except Exception:  # PyAV's class for an unknown codec has moved between releases
        return False
    return True


def devices() -> list[Finding]:
    """CPU, CUDA GPUs and Apple's GPU, with memory and bfloat16."""
    import torch

    findings = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if properties.major >= 8 or torch.version.hip else "no bf16: use --trainer.precision 16"
        memory = properties.total_memory / 2**30
        findings.append(Finding(f"cuda:{index}", f"{properties.name}, {memory:.0f} GiB, {bf16}"))
    if torch.backends.mps.is_available():
        findings.append(Finding("mps", "Apple GPU, shares the machine's memory"))
    if findings:
        return findings
    if torch.version.cuda is None and Path("/proc/driver/nvidia/version").exists():
        remedy = "pip install --force-reinstall torch torchvision"
        return [Finding("GPU", "there is one, but this PyTorch is built for the CPU only", "note", remedy)]
    return [Finding("GPU", "none: networks run on the CPU", "note")]


def processor() -> list[Finding]:
    """Cores that this process may use, PyTorch's threads, memory, and bfloat16."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    value = f"{platform.machine()}, {cores} cores, {threads} threads"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        value += f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    if Path("/proc/cpuinfo").exists():
        fast = any(flag.endswith("bf16") for flag in Path("/proc/cpuinfo").read_text().split())
        value += ", bf16 in hardware" if fast else ", bf16 emulated (slow)"
    if threads > cores:
        remedy = f"more threads than cores slow each other down: OMP_NUM_THREADS={cores}"
        return [Finding("cpu", value, "note", remedy)]
    return [Finding("cpu", value)]


def allocator() -> list[Finding]:
    """The memory allocator: glibc's default gives freed memory back at once, which costs time on a CPU."""
    maps = Path("/proc/self/maps")
    loaded = maps.read_text() if maps.exists() else ""
    for name in ("jemalloc", "tcmalloc", "mimalloc"):
        if f"lib{name}" in loaded:
            return [Finding("allocator", name)]
    if platform.libc_ver()[0] != "glibc":
        return [Finding("allocator", "the system's")]
    from interlace.allocator import is_freed_memory_kept

    if is_freed_memory_kept():
        return [Finding("allocator", "glibc, keeps freed memory")]
    remedy = "interlace's commands change that; in Python: interlace.allocator.keep_freed_memory()"
    return [Finding("allocator", "glibc, gives freed memory back at once", "note", remedy)]


def operators() -> list[Finding]:
    """What the operators run in: compiled kernels on the CPU, Triton on CUDA, or plain PyTorch, and why."""
    import torch

    from interlace.ops import _library, has_kernels

    if os.environ.get("INTERLACE_PLAIN") == "1":
        value = "plain PyTorch, because INTERLACE_PLAIN=1 is set"
        return [Finding("operators", value, "note", "faster: unset INTERLACE_PLAIN")]
    on_cpu, remedy = "compiled kernels", ""
    if not has_kernels(torch.empty(0)):
        has_threads = _library.THREADS is not None
        reason = "no kernels were built" if has_threads else "this PyTorch has no torch_parallel_for"
        on_cpu = f"plain PyTorch, because {reason}"
        remedy = (
            "install a C compiler, then this package again" if has_threads else "pip install --upgrade torch"
        )
    elif _library.HAS_CONV:
        on_cpu += " and fused convolution"
    else:
        on_cpu += "; no fused convolution for this processor"
    if torch.cuda.is_available():
        has_triton = importlib.util.find_spec("triton") is not None
        on_cpu += f"; CUDA: {'Triton kernels' if has_triton else 'plain PyTorch, because Triton is missing'}"
    return [
        Finding("operators", f"CPU: {on_cpu}", "note" if remedy else "ok", remedy and f"faster: {remedy}")
    ]


def triton() -> list[Finding]:
    """Triton, which compiles the GPU kernels; without it plain PyTorch does the same."""
    if importlib.util.find_spec("triton") is None:
        value = "not installed: on CUDA the operators run in plain PyTorch"
        return [Finding("triton", value, "note", "pip install triton")]
    return [Finding("triton", metadata.version("triton"))]


def extra(name: str) -> Finding:
    """A library that only one feature needs."""
    from interlace.telemetry import unobserved

    if importlib.util.find_spec(name) is None:
        value = f"not installed; {EXTRAS[name]}"
        return Finding(name, value, "note", f"pip install {PIP_NAMES.get(name, name)}")
    try:
        with unobserved():
            return Finding(name, str(importlib.import_module(name).__version__))
    except Exception as problem:
        return Finding(name, f"does not import: {problem}", "note", f"pip install --force-reinstall {name}")


def disk() -> list[Finding]:
    """Free space in the working folder, where runs are written."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < FREE_DISK_GB:
        remedy = "checkpoints and reports need room: free some or run elsewhere"
        return [Finding("free disk", f"{free:.1f} GB in {Path.cwd()}", "note", remedy)]
    return [Finding("free disk", f"{free:.1f} GB in {Path.cwd()}")]


def hub(network: bool) -> Finding:
    """Whether pretrained weights can be fetched; asked only if told to."""
    if not network:
        return Finding("hub", "not asked: nothing was sent over the network", "note")
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=5).close()
    except urllib.error.HTTPError:
        return Finding("hub", f"{HUB} answers")  # an answer, whatever it says
    except OSError as problem:
        remedy = "fetch weights elsewhere and train with --pretrained FILE, or --pretrained false"
        return Finding("hub", f"{HUB} cannot be reached: {problem}", "note", remedy)
    return Finding("hub", f"{HUB} answers")


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing that is required is missing."""
    return all(finding.status != "missing" for finding in findings)


def table(findings: list[Finding]) -> str:
    """The findings as text: a mark, the name, what was found, and below it how to get what is missing.

    Example:
        >>> from interlace.doctor import Finding, table
        >>> print(table([Finding("av", "not installed", "missing", "pip install av")]))
        X av  not installed
              -> pip install av
        something required is missing: see the lines marked X
    """
    marks = {"ok": " ", "note": "-", "missing": "X"}
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.status]} {finding.name:<{width}}  {finding.value}")
        if finding.remedy:
            lines.append(f"{'':{width + 4}}-> {finding.remedy}")
    if healthy(findings):
        return "\n".join([*lines, "all that is required is here"])
    return "\n".join([*lines, "something required is missing: see the lines marked X"])


def to_json(findings: list[Finding], output: Path) -> Path:
    """Write the findings, and whether all that is required is there, to a JSON file."""
    content = {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}
    with whole_file(output) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n")
    return output
