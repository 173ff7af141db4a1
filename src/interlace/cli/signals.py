"""SIGTERM, which schedulers and `timeout` send, ends a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_as_ctrl_c(received: list[int]) -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, so that nothing half done is left; ``received`` tells the two apart.

    Elsewhere than in the main thread, which alone receives signals, nothing changes.

    Example:
        >>> import signal
        >>> from interlace.cli.signals import sigterm_as_ctrl_c
        >>> received = []
        >>> try:
        ...     with sigterm_as_ctrl_c(received):
        ...         signal.raise_signal(signal.SIGTERM)
        ... except KeyboardInterrupt:
        ...     print(received)
        [15]
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
