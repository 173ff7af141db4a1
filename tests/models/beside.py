"""The networks of test_every_network.py go through their paces in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).with_name("every_network.py")
# Traces and differentiates as the default one does, and leaves the code to PyTorch's own kernels: a second or two where
# inductor takes twenty; the slow tier takes one network of each method through that one.
BACKEND = "aot_eager"


@contextmanager
def problems_of(names: list[str], backend: str = BACKEND) -> Iterator[dict[str, Future[str]]]:
    """What is found, by name, as soon as it is."""
    found: dict[str, Future[str]] = {name: Future() for name in names}
    if not names:
        yield found
        return
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), backend, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    collector = threading.Thread(target=_collect, args=(process, found))
    collector.start()
    try:
        yield found
    finally:
        process.kill()
        collector.join()


def _collect(process: subprocess.Popen[str], found: dict[str, Future[str]]) -> None:
    """Hand on each line as it comes; what has none when the process has ended is a problem too."""
    said = ""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{"name"'):
                result = json.loads(line)
                found[result["name"]].set_result(result["problem"])
            else:
                said += line
    for problem in found.values():
        if not problem.done():
            problem.set_result(f"the process ended with {process.returncode}: {said[-2000:]}")
