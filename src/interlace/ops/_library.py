"""The compiled kernels of `cpu/`, which the wheel carries, loaded by ctypes: no compiler is needed to run them.

They are there if a C compiler was at hand when the package was built; else, and with INTERLACE_PLAIN=1 in the
environment, the operators run in plain torch. Their threads are torch's own.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
from ctypes import POINTER, byref, c_float, c_int32, c_int64, c_void_p
from pathlib import Path

import torch

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
"""By what number the kernels call them."""


class Operand(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("sample", c_int64), ("frame", c_int64), ("row", c_int64)]


class Call(ctypes.Structure):
    """`Call` in cpu/common.h."""

    _fields_ = [
        *((name, Operand) for name in ("x", "grad", "out", "kept")),
        ("past", c_void_p),
        ("reach", c_int64),
        *((name, c_void_p) for name in ("offset", "weight", "dots", "grad_offset", "grad_weight")),
        *((name, c_int64) for name in ("B", "T", "G", "rows", "segment", "rest", "pieces")),
    ]


class Conv(ctypes.Structure):
    """`Conv` in cpu/conv.h."""

    _fields_ = [
        ("move", Call),
        *((name, c_void_p) for name in ("kernel", "bias", "out")),
        *((name, c_int64) for name in ("C", "K", "P", "channels", "parts")),
        ("relu", c_int32),
    ]


class RowsConv(ctypes.Structure):
    """`RowsConv` in cpu/conv_rows.h."""

    _fields_ = [
        ("move", Call),
        *((name, c_void_p) for name in ("packed", "bias", "out")),
        *((name, c_int64) for name in ("C", "K", "P", "rows", "rows_per_task")),
        *((name, c_float) for name in ("lowest", "highest")),
    ]


class Nets(ctypes.Structure):
    """`Nets` in cpu/common.h."""

    _fields_ = [
        ("x", Operand),
        *((f"parameter_{i}", c_void_p) for i in range(8)),
        *((name, c_void_p) for name in ("z", "offset", "weight")),
        *((name, c_int64) for name in ("B", "T", "F", "P", "groups")),
        ("offset_range", c_float),
        *((name, c_int32) for name in ("mirrored", "channels_last")),
    ]


class NetsBack(ctypes.Structure):
    """`NetsBack` in cpu/common.h."""

    _fields_ = [
        ("nets", Nets),
        *((name, c_void_p) for name in ("grad_offset", "grad_weight")),
        *((f"grad_parameter_{i}", c_void_p) for i in range(8)),
        ("grad_z", c_void_p),
    ]


class CausalNets(ctypes.Structure):
    """`CausalNets` in cpu/causal_nets.h."""

    _fields_ = [
        ("pool", Nets),
        ("before", c_void_p),
        *((f"parameter_{i}", c_void_p) for i in range(6)),
        *((name, c_void_p) for name in ("after", "offset", "weight")),
        *((name, c_int64) for name in ("window", "hidden", "G")),
        ("offset_range", c_float),
    ]


def _load() -> ctypes.CDLL | None:
    """The library beside this file; None if it was not built, is switched off, or torch has no parallel_for."""
    if os.environ.get("INTERLACE_PLAIN") == "1":
        return None
    folder = Path(__file__).parent
    files = [folder / f"_cpu_kernels{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    file = next((file for file in files if file.exists()), None)
    if file is None or _parallel_for() is None:
        return None
    library = ctypes.CDLL(str(file))
    library.interlace_run.argtypes = [POINTER(Call), c_int32, c_void_p]
    library.interlace_nets.argtypes = [POINTER(Nets), c_int32, c_void_p]
    library.interlace_causal_nets.argtypes = [POINTER(CausalNets), c_int32, c_void_p]
    library.interlace_nets_back.argtypes = [POINTER(NetsBack)]
    library.interlace_conv1x1.argtypes = [POINTER(Conv), c_void_p]
    library.interlace_conv_rows.argtypes = [POINTER(RowsConv), c_int32, c_void_p]
    library.interlace_pack.argtypes = [c_void_p, c_void_p, c_int64, c_int64, c_int32, c_void_p]
    return library


def _parallel_for() -> c_void_p | None:
    """Torch's parallel_for by its stable C name: the kernels obey torch.set_num_threads."""
    folder = Path(torch.__file__).parent / "lib"
    file = next((file for file in folder.glob("libtorch_cpu.*") if file.suffix in (".so", ".dylib")), None)
    if file is None:
        return None
    function = getattr(ctypes.CDLL(str(file)), "torch_parallel_for", None)
    return None if function is None else ctypes.cast(function, c_void_p)


LIBRARY = _load()
THREADS = _parallel_for()
HAS_CONV = LIBRARY is not None and LIBRARY.interlace_conv1x1(byref(Conv()), None) == 0
"""Whether the fused convolution of contiguous float32 frames exists for this processor."""
ROWS_DTYPES = {
    dtype
    for dtype in (torch.float32, torch.bfloat16)
    if LIBRARY is not None and LIBRARY.interlace_conv_rows(byref(RowsConv()), DTYPES[dtype], None) == 0
}
