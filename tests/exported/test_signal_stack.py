from __future__ import annotations

import ctypes
import gc
import subprocess
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


COME_AND_GO = """
import gc, os, signal, subprocess, sys, threading
from pathlib import Path
from interlace.exported import load_model
ended = []
signal.signal(signal.SIGCHLD, lambda *_: ended.append(1))
first, second = (load_model(Path(sys.argv[1]))[0] for _ in range(2))
del first
gc.collect()
del second
gc.collect()
subprocess.run(["true"])
print(len(ended), flush=True)
os.kill(os.getpid(), signal.SIGINT)
threading.Event().wait(60)
"""


@pytest.mark.slow
def test_signals_are_handled_after_two_graphs_have_gone(make_export: Callable[..., Path]) -> None:
    """The end of a data worker, then Ctrl-C: each was the end of the process, without a word."""
    found = subprocess.run(
        [sys.executable, "-c", COME_AND_GO, str(make_export("xml"))], capture_output=True, text=True
    )
    assert found.stdout == "1\n"
    assert found.stderr.endswith("KeyboardInterrupt\n")
