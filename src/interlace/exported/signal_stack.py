"""OpenVINO gives the thread another stack for signals and takes it away in the wrong order; here it is kept."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """The system's ``stack_t`` on Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Within the block libraries may change the stack on which the thread's signals are handled; then it is undone.

    Each compiled OpenVINO graph puts a stack of its own there and, when it goes, the one that it found. Of two graphs
    that go in the order in which they came the second puts back that of the first, which is gone: the next signal,
    the end of a data worker or Ctrl-C, ends the process without a word (openvino 2026.4). A graph that no longer finds
    its own stack leaves all as it is.

    Example:
        >>> from interlace.exported.signal_stack import signal_stack_kept
        >>> with signal_stack_kept():
        ...     pass
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
