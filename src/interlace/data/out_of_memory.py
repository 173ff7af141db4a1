"""Memory that is not there: one line with the clips that were at hand, whoever asked for it."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

REMEDY = (
    "use fewer processes that decode (num_workers), a smaller batch_size or image_size, or do not keep decoded videos "
    "in memory (decode.cache)"
)
# PyTorch has an error of its own for GPUs alone; on the CPU, and of shared memory, the words tell.
_SAYS_SO = (
    *("can't allocate memory", "not enough memory", "Cannot allocate memory", "out of memory"),
    *(
        "unable to allocate shared memory",
        "unable to mmap",
        "torch_shm_manager",
        "unable to resize file </torch_",
    ),
)

# PIXELS of data/limits.py in RGB, and what a decoder keeps beside it.
_BYTES_TO_SPARE = 2**28


class OutOfMemoryError(ValueError):
    """Memory has run out; the message names the clips and says what to do."""


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error says that there is no more memory.

    Example:
        >>> from interlace.data.out_of_memory import is_out_of_memory
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("wrong shape"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAYS_SO)


def require_memory(path: object, reason: str) -> None:
    """If a decoder's reason may be that memory has run out, ask for some to tell.

    FFmpeg says the same of damaged files, which ask for absurd amounts.

    Raises:
        MemoryError: there is none, which says nothing of the file.

    Example:
        >>> from interlace.data.out_of_memory import require_memory
        >>> require_memory("a.mp4", "Cannot allocate memory")  # there is enough
    """
    if os.strerror(errno.ENOMEM) not in reason and MemoryError.__name__ not in reason:
        return
    try:
        mmap.mmap(-1, _BYTES_TO_SPARE).close()
    except OSError as error:
        raise MemoryError(f"{path}: the decoder cannot allocate memory") from error


@contextmanager
def naming_clips(paths: Callable[[], Sequence[Any]], doing: str) -> Iterator[None]:
    """Where memory runs out, say in which batch.

    Args:
        paths: the clips at hand, asked for when it has happened.
        doing: what was done with them.

    Raises:
        OutOfMemoryError: in place of the error of whoever has asked for the memory.

    Example:
        >>> from interlace.data.out_of_memory import naming_clips
        >>> with naming_clips(lambda: ["a.mp4", "b.mp4"], "in a step of training"):
        ...     pass
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        clips = named(paths())
        batch = f" with a batch of {clips}" if clips else ""
        raise OutOfMemoryError(f"out of memory {doing}{batch} ({_asked_for(error)}); {REMEDY}") from error


def in_a_line(error: BaseException) -> str:
    """The same sentence where no clips are known.

    Example:
        >>> from interlace.data.out_of_memory import in_a_line
        >>> in_a_line(MemoryError("a.mp4: the decoder cannot allocate memory"))[:59]
        'out of memory (a.mp4: the decoder cannot allocate memory); '
    """
    return f"out of memory ({_asked_for(error)}); {REMEDY}"


def named(paths: Sequence[Any], most: int = 8) -> str:
    """The clips of a batch in one line.

    Example:
        >>> from interlace.data.out_of_memory import named
        >>> named(["a.mp4", "b.mp4", "c.mp4"], most=2)
        'a.mp4, b.mp4 and 1 more'
    """
    told = ", ".join(str(path) for path in paths[:most])
    return told if len(paths) <= most else f"{told} and {len(paths) - most} more"


def _asked_for(error: BaseException) -> str:
    """The sentence of an allocator that says how much it was."""
    told = str(error).strip() or "MemoryError"
    lines = [
        line.strip() for line in told.splitlines() if any(words in line for words in (*_SAYS_SO, "allocate"))
    ]
    return (lines or told.splitlines())[0][:200]
