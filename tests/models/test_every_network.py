"""Every name of list_models builds, takes a training step, compiles in bfloat16, saves, loads and predicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from interlace.models import list_models

SCRIPT = Path(__file__).with_name("every_network.py")
# Traces and differentiates as the default one does, and leaves the code to PyTorch's own kernels: a second where
# inductor takes twenty. `python tests/models/every_network.py inductor $(interlace models --names)` goes all the way.
BACKEND = "aot_eager"
PROCESSES = 2


@pytest.fixture(scope="session")
def problems(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[str]]]:
    """What was found, by name; the names that were chosen are put through it side by side."""
    names = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == test_network_does_all.__name__
    ]
    found: dict[str, Future[str]] = {name: Future() for name in names}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = []
    for first in range(PROCESSES):
        mine = names[first::PROCESSES]
        if not mine:
            continue
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), BACKEND, *mine],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        collector = threading.Thread(target=_collect, args=(process, mine, found))
        collector.start()
        processes.append((process, collector))
    yield found
    for process, collector in processes:
        process.kill()
        collector.join()


def _collect(process: subprocess.Popen[str], names: list[str], found: dict[str, Future[str]]) -> None:
    """Hand on each line as it comes; what has none when the process has ended is a problem too."""
    said = ""
    with process:
        for line in process.stdout:
            if line.startswith("{"):
                result = json.loads(line)
                found[result["name"]].set_result(result["problem"])
            else:
                said += line
    for name in names:
        if not found[name].done():
            found[name].set_result(f"the process ended with {process.returncode}: {said[-2000:]}")


@pytest.mark.parametrize("name", list_models())
def test_network_does_all(name: str, problems: dict[str, Future[str]]) -> None:
    assert problems[name].result(timeout=600) == ""
