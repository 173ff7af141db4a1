"""Ctrl-C as the normal way to end a stream."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first Ctrl-C or SIGTERM, instead of breaking off in the middle of something.

    ``stop`` runs in a thread of its own, as a signal may come while the main thread holds whatever lock ``stop``
    needs. A second signal does what it always does. Elsewhere than in the main thread, which alone receives
    signals, nothing changes.

    Example:
        >>> import signal, threading
        >>> from interlace.streaming.interruption import stopping
        >>> is_over = threading.Event()
        >>> with stopping(is_over.set):
        ...     signal.raise_signal(signal.SIGINT)
        ...     is_over.wait(10)
        True
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    threads: list[threading.Thread] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(_number: int, _frame: FrameType | None) -> None:
        restore()
        thread = threading.Thread(target=stop, name="stop")
        thread.start()
        threads.append(thread)

    try:
        for number in SIGNALS:
            signal.signal(number, handle)
        yield
    finally:
        restore()
        for thread in threads:
            thread.join()
