"""OpenVINO and NNCF report to their maker that they are loaded and used, unless they run in continuous integration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unobserved() -> Iterator[None]:
    """Nobody who opens or exports a file was asked: within the block, libraries are told that they run in such a place.

    It is to enclose their first import, where they settle it for the whole process, and no more than that: processes
    that start meanwhile are told the same.

    Example:
        >>> import os
        >>> from interlace.telemetry import unobserved
        >>> with unobserved():
        ...     os.environ["CI"]
        'true'
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before
