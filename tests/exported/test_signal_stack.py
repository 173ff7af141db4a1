from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.exported import load_model

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the fault is that of Linux")


class Stack(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int, int]:
    stack = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.address, stack.flags, stack.size


def test_graphs_that_come_and_go_leave_the_stack_for_signals(make_export: Callable[..., Path]) -> None:
    path, before = make_export("xml"), signal_stack()
    first, _ = load_model(path)
    second, _ = load_model(path)
    assert signal_stack() == before
    del first
    gc.collect()
    del second
    gc.collect()
    assert signal_stack() == before
