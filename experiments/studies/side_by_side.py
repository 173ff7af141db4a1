"""Runs side by side, each in a process of its own; a killed queue goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass
class Running:
    """A command on its way, and the file that it writes to."""

    number: int
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    began: float


def run_side_by_side(
    commands: Sequence[Sequence[str]],
    logs: Sequence[Path],
    *,
    jobs: int,
    environment: dict[str, str],
    done: Callable[[int, float], None],
) -> list[int]:
    """Run all commands, so many at once.

    Ctrl-C or SIGTERM is passed on, and waited for: a training saves where it stands.

    Args:
        commands: what to run.
        logs: where each one's output goes, added to what is there.
        jobs: how many run at once.
        environment: for all of them.
        done: is told the number of each command that has ended well, and how many seconds it took.

    Returns:
        The numbers of those that failed. The others go on meanwhile.

    Raises:
        KeyboardInterrupt: asked to stop; all have ended.
    """
    waiting, running, failed = list(range(len(commands))), list[Running](), list[int]()
    with _sigterm_as_ctrl_c():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    number = waiting.pop(0)
                    running.append(_start(number, commands[number], logs[number], environment))
                time.sleep(0.2)
                for each in [each for each in running if each.process.poll() is not None]:
                    running.remove(each)
                    each.log.close()
                    if each.process.returncode:
                        failed.append(each.number)
                        print(
                            f"FAILED, the others go on: see {logs[each.number]}", file=sys.stderr, flush=True
                        )
                    else:
                        done(each.number, time.monotonic() - each.began)
        except BaseException:
            for each in running:
                each.process.send_signal(signal.SIGINT)
            for each in running:
                each.process.wait()
                each.log.close()
            raise
    return failed


def _start(number: int, command: Sequence[str], log: Path, environment: dict[str, str]) -> Running:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = log.open("ab")
    # A group of its own: a Ctrl-C at the terminal reaches it once, through this process.
    process = subprocess.Popen(
        command,
        stdout=file,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    return Running(number, process, file, time.monotonic())


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    # Ctrl-C as well: jobs of a shell without a terminal begin with it ignored.
    before = [(number, signal.signal(number, stop)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def python(*arguments: str | Path) -> list[str]:
    """A command of this Python."""
    return [sys.executable, *map(str, arguments)]
