"""Errors of the processes that decode, as one line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from interlace.data.at_work import Watched

_FROM_WORKER = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\n")
_GONE = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? (?P<process>\d+)[^)]*\) "
    r"(?:is killed by signal: (?P<signal>[^.]+)|exited unexpectedly(?: with exit code (?P<status>\d+))?)"
)
_LATE = re.compile(r"DataLoader timed out after (?P<seconds>[\d.]+) seconds")
_REMEDIES = {
    "Killed": "the system does so when memory runs out: use fewer trainer.num_workers, a smaller batch_size or "
    "image_size, or decode.cache=off",
    "Bus error": "shared memory (/dev/shm) has run out: enlarge it, use fewer trainer.num_workers, a smaller "
    "batch_size, or decode.cache=off",
}
_OTHERWISE = "if it happens again with the same clip, replace that file or take it out"

NEWS_SECONDS = 5.0
"""How long the system may take to say that a process has ended whose connection is broken already."""
Batch = TypeVar("Batch")


class WorkerError(ValueError):
    """A process that decodes is gone, or gives no answer; the message names its clips."""


def waiting_for_news(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of a loader; of a worker that dies while it hands one over the loader tells as of any that dies.

    The connection to it breaks a moment before its end is known. What tells of that, PyTorch's RuntimeError, is
    raised wherever the program is then: here, while it waits. If nothing comes, the error stays what it was.

    Args:
        batches: of a loader, for :func:`one_line_errors` to tell of.

    Raises:
        RuntimeError: a worker is gone.

    Example:
        >>> from interlace.data.worker_errors import waiting_for_news
        >>> list(waiting_for_news([1, 2]))
        [1, 2]
    """
    iterator = iter(batches)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except (EOFError, ConnectionError):
            time.sleep(NEWS_SECONDS)
            raise
        yield batch


class ClipLoader(DataLoader[Any]):
    """A DataLoader that waits for the news of a worker's end, whoever takes its batches (Lightning too).

    Raises:
        RuntimeError: a worker is gone; :func:`one_line_errors` tells of it.

    Example:
        >>> from interlace.data.worker_errors import ClipLoader
        >>> list(ClipLoader(["a", "b", "c"], batch_size=2))
        [['a', 'b'], ['c']]
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # Its processes start here, not where the first batch is asked for.
        return waiting_for_news(super().__iter__())


@contextmanager
def one_line_errors(*datasets: object) -> Iterator[None]:
    r"""A worker's error arrives with its whole traceback as the message; keep the message that it had.

    Only of a ValueError, which is about the user's files and settings. Of anything else, a mistake of the
    program, the traceback is of use. Of a worker that was killed, or has ended by itself, data sets that are
    :class:`interlace.data.at_work.Watched` tell which clips it had in hand.

    Raises:
        WorkerError: a worker is gone.

    Example:
        >>> from interlace.data.worker_errors import one_line_errors
        >>> told = "Caught ValueError in DataLoader worker process 0.\nTraceback ...\nValueError: a.mp4: no"
        >>> with one_line_errors():
        ...     raise ValueError(told)
        Traceback (most recent call last):
        ValueError: a.mp4: no
    """
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        # PyTorch raises its own wherever the program is then, and who runs there may make another of it.
        gone, late = _told_by_torch(_GONE, error), _told_by_torch(_LATE, error)
        if gone is not None:
            raise WorkerError(_of_the_dead(gone, datasets)) from error
        if late is not None:
            raise WorkerError(_of_the_late(late["seconds"], datasets)) from error
        if not isinstance(error, ValueError) or not _FROM_WORKER.match(str(error)):
            raise
        last_line = str(error).strip().splitlines()[-1]
        name, _, message = last_line.partition(": ")
        is_named = name.rpartition(".")[2] == type(error).__name__
        raise type(error)(message if is_named else last_line) from error


def _told_by_torch(pattern: re.Pattern[str], error: BaseException) -> re.Match[str] | None:
    """The first of the RuntimeErrors behind an error that says so: where PyTorch waits, that one knows the signal."""
    chain, seen = [error], {id(error)}
    while (behind := chain[-1].__cause__ or chain[-1].__context__) is not None and id(behind) not in seen:
        chain.append(behind)
        seen.add(id(behind))
    found = (pattern.search(str(each)) for each in reversed(chain) if isinstance(each, RuntimeError))
    return next(filter(None, found), None)


def _of_the_dead(gone: re.Match[str], datasets: tuple[object, ...]) -> str:
    told = next(
        filter(None, (d.at_work.told(int(gone["process"])) for d in datasets if isinstance(d, Watched))), ""
    )
    remedy = _REMEDIES.get(gone["signal"], _OTHERWISE)
    if gone["signal"]:
        end = f"was killed by a signal ({gone['signal']})"
    elif gone["status"]:
        end = f"ended by itself with status {gone['status']}"
    else:  # PyTorch does not know either, as where another library listens to ended processes
        end, remedy = "is gone, killed or by itself,", f"{_REMEDIES['Killed']}; {_OTHERWISE}"
    return f"a process that decodes {end}{' ' if told else ''}{told}; {remedy}"


def _of_the_late(seconds: str, datasets: tuple[object, ...]) -> str:
    told = [line for d in datasets if isinstance(d, Watched) for line in d.at_work.reading()]
    return (
        f"no batch has come for {seconds} s; the processes that decode read {', '.join(told) or 'nothing'}: see "
        "whether the disk answers, and take a file out at which it stops again"
    )
