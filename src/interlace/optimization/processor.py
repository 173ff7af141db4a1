"""What this machine can do: the fastest dtype, oneDNN, a compiler."""

from __future__ import annotations

import importlib
import os
import platform
import shutil

import torch

X86 = ("x86_64", "amd64")


def best_dtype(device: str | torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it by itself, else float32: emulated it is slower.

    Example:
        >>> from interlace.optimization.processor import best_dtype
        >>> best_dtype("meta")
        torch.float32
    """
    device = torch.device(device)
    if device.type == "cuda":
        has_bf16 = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "cpu" and platform.machine().lower() in X86:
        has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    elif device.type == "cpu" and torch.backends.mkldnn.is_available():
        # On ARM this asks for the instructions themselves; on x86 it is also true where they are emulated.
        has_bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        has_bf16 = False
    return torch.bfloat16 if has_bf16 else torch.float32


def has_onednn() -> bool:
    """Whether convolutions may go to oneDNN directly; measured on x86 only, so there only."""
    return torch.backends.mkldnn.is_available() and platform.machine().lower() in X86


def compiler_is_missing(device: str | torch.device) -> str:
    """Why torch.compile cannot work on this device, and the remedy; empty where it can.

    Example:
        >>> from interlace.optimization.processor import compiler_is_missing
        >>> compiler_is_missing("mps")
        'torch.compile is not tried on mps'
    """
    kind = torch.device(device).type
    if kind not in ("cpu", "cuda"):
        return f"torch.compile is not tried on {kind}"
    if not importlib.import_module("torch._dynamo").is_dynamo_supported():
        return f"this torch cannot compile for Python {platform.python_version()}"
    if kind == "cuda" and not importlib.import_module("torch.utils._triton").has_triton():
        return "there is no Triton for this GPU; `pip install triton`"
    if kind == "cpu":
        names = (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")
        if not any(name and shutil.which(name) for name in names):
            return "there is no C++ compiler; install g++ or clang, or name one in CXX"
    return ""
