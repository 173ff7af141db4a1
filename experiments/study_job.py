"""One run of a study, in a process of its own: started by study.py.

    python experiments/study_job.py STUDY ARM SPLIT SEED DATA RUNS

Killed at any point and started again, it goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

from studies.every import STUDIES
from studies.job import run
from tin_forms import add_to_methods


def main() -> None:
    """Run what the words name."""
    Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    add_to_methods()
    name, arm, split, seed, data, runs = sys.argv[1:]
    jobs = STUDIES[name].jobs(arms=[arm], seeds=[int(seed)])
    run(next(job for job in jobs if job.split.name == split), Path(data), Path(runs))


def _end_with(parent: int) -> None:
    """Stop, with a checkpoint, when the runner is gone: killed, it cannot ask for it."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
