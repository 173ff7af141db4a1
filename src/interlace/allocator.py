"""Memory that is freed and asked for again at every step: let the C library keep it."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

# Numbers of mallopt(3) in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = -1
# What a user sets by them is not touched; LD_PRELOAD puts another allocator in glibc's place.
_SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
_was_told = False  # glibc does not say how it is set


def keep_freed_memory() -> bool:
    """Tell glibc not to hand freed memory back to the system; True if it was told.

    Large blocks are handed back at once by default, and the next step's first touch of each page of new ones
    is a trip into the kernel. Without them a training step on a CPU took 9 to 20 % less time (docs/speed.md). The
    price: the process stays as large as it once was. Call it before the first step.

    Does nothing, and returns False, without glibc (macOS, Windows, musl) and where the environment settles it already:
    MALLOC_* variables, glibc.malloc in GLIBC_TUNABLES, or LD_PRELOAD of another allocator.

    Example:
        >>> from interlace.allocator import keep_freed_memory
        >>> keep_freed_memory() in (True, False)
        True
    """
    global _was_told
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or _is_settled():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # The first turns blocks of their own (mmap) off, the second keeps the end of the heap.
    _was_told = bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))
    return _was_told


def is_freed_memory_kept() -> bool:
    """Whether glibc was told so, by :func:`keep_freed_memory` or by the two MALLOC_* variables.

    Example:
        >>> from interlace.allocator import is_freed_memory_kept
        >>> is_freed_memory_kept() in (True, False)
        True
    """
    by_variables = os.environ.get("MALLOC_MMAP_MAX_") == "0" and "MALLOC_TRIM_THRESHOLD_" in os.environ
    return _was_told or by_variables


def _is_settled() -> bool:
    if any(name in os.environ for name in _SETTINGS):
        return True
    return "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or "alloc" in os.environ.get(
        "LD_PRELOAD", ""
    )
