"""A command and its children under observation: memory and open files against what is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CODE = "import sys; from interlace.cli import main; sys.exit(main())"
SECONDS_BETWEEN_LOOKS = 0.25
WARM_UP = 0.2
"""Of all looks: until then libraries load, caches fill and the allocator settles."""


@dataclass(frozen=True)
class Look:
    """What was seen at one time."""

    done: int
    main_kib: int
    children_kib: int
    """Of the largest child."""
    open_files: int
    """Of the process and its children."""


@dataclass
class Ended:
    """A command that has ended."""

    status: int
    looks: list[Look]
    printed: list[str]
    errors: str = ""


@dataclass
class Watched:
    """A command on its way.

    Args:
        arguments: of `interlace`.
        done: how much is done, asked at each look; by default the lines that were printed.
        at_look: called with each look, e.g. to disturb.
    """

    arguments: Sequence[str]
    done: Callable[[], int] | None = None
    at_look: Callable[[subprocess.Popen[bytes], Look], None] | None = None
    folder: Path | None = None
    looks: list[Look] = field(default_factory=list)

    def run(self) -> Ended:
        """Start it and watch it to its end."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=self.folder,
        )
        printed: list[bytes] = []
        errors: list[bytes] = []
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            threading.Thread(target=into.extend, args=(pipe,))
            for into, pipe in ((printed, process.stdout), (errors, process.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            while process.poll() is None:
                self._look(process, self.done() if self.done else len(printed))
                try:
                    process.wait(SECONDS_BETWEEN_LOOKS)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            for reader in readers:
                reader.join()
            process.stdout.close()
            process.stderr.close()
        texts = [line.decode("utf-8", "surrogateescape").rstrip("\n") for line in printed]
        return Ended(process.returncode, self.looks, texts, b"".join(errors).decode("utf-8", "replace"))

    def _look(self, process: subprocess.Popen[bytes], done: int) -> None:
        children = children_of(process.pid)
        look = Look(
            done=done,
            main_kib=resident_kib(process.pid),
            children_kib=max((resident_kib(child) for child in children), default=0),
            open_files=sum(open_files(each) for each in (process.pid, *children)),
        )
        if look.main_kib:
            self.looks.append(look)
            if self.at_look:
                self.at_look(process, look)


def resident_kib(process: int) -> int:
    """Memory that a process has of its own or shares; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def open_files(process: int) -> int:
    """Files, pipes and sockets that it holds; 0 if it has ended."""
    try:
        return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return 0


def children_of(process: int) -> list[int]:
    """Processes that it has started, and theirs."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            text = (thread / "children").read_text()
            for child in map(int, text.split()):
                found += [child, *children_of(child)]
    except OSError:  # it has just ended
        pass
    return found


def growth(looks: Sequence[Look], part: str, per: int) -> dict[str, float]:
    """A measure after the warm-up: first, last, largest, and its slope by least squares for so much work."""
    begun = [look for look in looks if look.done > 0]
    settled = [look for look in begun if look.done >= WARM_UP * begun[-1].done] if begun else []
    if len({look.done for look in settled}) < 2:
        return {}
    values = [getattr(look, part) for look in settled]
    return {
        "first": values[0],
        "last": values[-1],
        "largest": max(values),
        f"slope per {per}": round(per * _slope(settled, part), 2),
        f"slope per {per} of the last half": round(per * _slope(settled[len(settled) // 2 :], part), 2),
    }


def _slope(looks: Sequence[Look], part: str) -> float:
    done = np.array([look.done for look in looks], dtype=float)
    if np.ptp(done) == 0:
        return 0.0
    return float(np.polyfit(done, np.array([getattr(look, part) for look in looks], dtype=float), 1)[0])


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL."""
    os.kill(process.pid, signal.SIGKILL)
