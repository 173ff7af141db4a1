"""What a call comes to in a process of its own, and how much memory it took: so that a bomb hits nobody else."""

from __future__ import annotations

import json
import os
import re
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SECONDS = 60


class Outcome(NamedTuple):
    """Of a call."""

    kind: str
    """Class of the error that ended it; empty if none did."""
    message: str
    grown_mb: float
    """Peak of the memory above what there was before."""


def outcome(call: Callable[[], object]) -> Outcome:
    """Run it in a fork of this process, which a signal ends after a minute."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        kind = message = ""
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _peak_mb()
        try:
            call()
        except ValueError as error:
            kind, message = type(error).__name__, str(error)
        except BaseException as error:
            kind, message = type(error).__name__, "".join(traceback.format_exception(error))
        with os.fdopen(theirs, "w") as pipe:
            json.dump([kind, message, _peak_mb() - before], pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"ended by {status}: more than {SECONDS} s, or killed"
    return Outcome(*json.loads(told))


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000
