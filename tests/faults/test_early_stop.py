"""Ctrl-C right after a command was begun, while it still reads its libraries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Sends the signal when a module is about to be read, wherever that is.
STOPPED_AT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from interlace.cli import main
def hook(name, values):
    if name == "import" and values[0] == sys.argv[1]:
        os.kill(os.getpid(), int(sys.argv[2]))
sys.addaudithook(hook)
sys.exit(main(["flow", "clips", "--output", "flow"]))
"""


@pytest.mark.parametrize("module", ["interlace.cli.parser", "jsonargparse", "interlace.data.flow_store"])
@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_stopped_before_the_work_begins(
    module: str, number: int, status: int, name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_AT, module, str(int(number))],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"error: stopped by {name}\n")
