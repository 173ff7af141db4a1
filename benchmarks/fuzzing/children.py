"""Forked children that run one case after another, bounded in memory; what their parent sees of a crash or a hang."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import shutil
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing.cases import make_case
from fuzzing.targets import attempts, judged

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one case may take."""

    seconds: float
    memory_mib: int
    """Above what the child held before the case."""


@dataclass
class Child:
    """A process that waits for case numbers."""

    seed: int
    seeds: Path
    folder: Path
    """Where its case lies, and what it writes to stderr."""
    kinds: tuple[str, ...]
    limits: Limits
    grown_mib: list[float] = field(default_factory=list)
    """By each case; those that load libraries do not count."""
    pid: int = 0

    def start(self) -> None:
        """Fork; torch must have been idle so far, for its threads would not be there in the child."""
        self.folder.mkdir(parents=True, exist_ok=True)
        to_child, self._orders = os.pipe()
        self._answers, from_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._orders)
                os.close(self._answers)
                self._serve(to_child, from_child)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(to_child)
        os.close(from_child)

    def run(self, number: int) -> dict[str, Any]:
        """One case: what came of it. A child that is gone afterwards has pid 0."""
        began = time.monotonic()
        os.write(self._orders, f"{number}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            left = self.limits.seconds - (time.monotonic() - began)
            ready = select.select([self._answers], [], [], max(0.0, left))[0]
            if not ready:
                return self._gone("a hang", began)
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                return self._gone("a crash", began)
            answer += piece
        found: dict[str, Any] = json.loads(answer)
        if "broken" in found:
            raise RuntimeError(f"case {number} cannot be made: {found['broken']}")
        self.grown_mib.append(found["grown_mib"])
        return found

    def stop(self) -> None:
        """End it, if it is still there."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._orders)
            os.close(self._answers)
            self.pid = 0

    def _gone(self, what: str, began: float) -> dict[str, Any]:
        told = (self.folder / "case.json").read_text() if (self.folder / "case.json").exists() else "{}"
        with contextlib.suppress(ProcessLookupError):
            os.kill(
                self.pid, signal.SIGABRT if what == "a hang" else signal.SIGKILL
            )  # faulthandler says where
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._orders)
        os.close(self._answers)
        self.pid = 0
        lines = (self.folder / "stderr").read_text(errors="replace")[-6000:]
        seconds = round(time.monotonic() - began, 2)
        return {
            **json.loads(told),
            "findings": {what: f"status {status}\n{lines}"},
            "outcomes": {},
            "seconds": seconds,
        }

    def _serve(self, orders: int, answers: int) -> None:
        """The child's life."""
        os.setsid()  # Ctrl-C is the parent's
        errors = os.open(self.folder / "stderr", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(errors, descriptor)
        faulthandler.enable(errors)
        most = (int(_status("VmData")) + 2 * self.limits.memory_mib) * MIB
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        gc.freeze()
        seen: Counter[str] = Counter()
        with os.fdopen(orders) as lines:
            for line in lines:
                found = self._one(int(line), seen)
                os.write(answers, json.dumps(found).encode() + b"\n")

    def _one(self, number: int, seen: Counter[str]) -> dict[str, Any]:
        place = self.folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (self.folder / "case.json").unlink(missing_ok=True)
        try:
            case = make_case(number, self.seed, self.seeds, place, self.kinds)
        except Exception:
            return {"broken": traceback.format_exc()}
        about = {"case": number, "kind": case.kind, "source": case.source, "steps": case.steps}
        (self.folder / "case.json").write_text(json.dumps(about))
        before, files = _status("VmRSS"), _open_files()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        outcomes, findings, began = {}, {}, time.process_time()
        for name, attempt in attempts(case, self.seeds).items():
            try:
                outcomes[name] = str(attempt())
            except Exception as error:
                outcomes[name] = type(error).__name__
                wrong = judged(error, case)
                if wrong is not None:
                    told = "".join(traceback.format_exception(error))
                    findings[wrong] = f"{name}: {told[-5000:]}"
        seconds = time.process_time() - began
        gc.collect()
        peak = _status("VmHWM") - before
        if peak > self.limits.memory_mib:
            findings["memory"] = f"{peak:.0f} MiB more than before"
        loads = seen[case.kind] < 3  # the first of a kind load libraries
        if _open_files() > files and not loads:
            findings["open files"] = f"{_open_files()}, {files} before: {_names_of_files()}"
        seen[case.kind] += 1
        return {
            **about,
            "outcomes": outcomes,
            "findings": findings,
            "seconds": round(seconds, 3),
            "peak_mib": round(peak, 1),
            "resident_mib": round(_status("VmRSS"), 1),
            "grown_mib": 0.0 if loads else round(_status("VmRSS") - before, 1),
            "open_files": _open_files(),
        }


def _status(name: str) -> float:
    """A size out of /proc/self/status, in MiB."""
    with Path("/proc/self/status").open() as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def _names_of_files() -> str:
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(str(entry.readlink()))
    return ", ".join(names)
