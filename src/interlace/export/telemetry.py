"""OpenVINO and NNCF report each use to their maker unless they run in continuous integration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unobserved() -> Iterator[None]:
    """Nobody who exports was asked: as long as this lasts, libraries are told that they run in such a place.

    It is to enclose their first use, which decides for the whole process.

    Example:
        >>> import os
        >>> from interlace.export.telemetry import unobserved
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
