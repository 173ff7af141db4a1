"""Cases that do what no file may do; prints what the fuzzer says of each. Run by test_fuzz.py."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from fuzzing import children


def crash(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(_: Path) -> None:
    while True:
        time.monotonic()


def memory(_: Path) -> None:
    bytearray(300 << 20)


def traceback(_: Path) -> None:
    raise KeyError("x")


def unnamed(_: Path) -> None:
    raise ValueError("something is wrong")


def fine(path: Path) -> None:
    raise ValueError(f"{path}: damaged")


EXPECTED = {
    crash: "a crash",
    hang: "a hang",
    memory: "memory",
    traceback: "a traceback",
    unnamed: "the file is not named",
    fine: None,
}

folder = Path(sys.argv[1])
for number, (what, expected) in enumerate(EXPECTED.items()):
    children.attempts = lambda case, _, what=what: {"it": lambda: what(case.path)}
    limits = children.Limits(seconds=1.0 if what is hang else 60.0, memory_mib=200)
    child = children.Child(0, folder / "seeds", folder / what.__name__, ("annotations",), limits)
    child.start()
    found = child.run(number)
    child.stop()
    if list(found["findings"]) != ([] if expected is None else [expected]):
        sys.exit(f"{what.__name__}: {found}")
    assert found["case"] == number
    print(what.__name__)
