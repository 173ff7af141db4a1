"""Errors of the processes that decode, as one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_FROM_WORKER = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\n")


@contextmanager
def one_line_errors() -> Iterator[None]:
    r"""A worker's error arrives with its whole traceback as the message; keep the message that it had.

    Only of a ValueError, which is about the user's files and settings. Of anything else, a mistake of the
    program, the traceback is of use.

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
    except ValueError as error:
        if not _FROM_WORKER.match(str(error)):
            raise
        last_line = str(error).strip().splitlines()[-1]
        name, _, message = last_line.partition(": ")
        is_named = name.rpartition(".")[2] == type(error).__name__
        raise type(error)(message if is_named else last_line) from error
