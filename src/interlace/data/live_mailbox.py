"""A place for one frame between the thread that decodes and whoever reads."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Condition

from jaxtyping import UInt8
from torch import Tensor

_WAIT_SECONDS = 0.25
"""Longest wait at a stretch: Windows lets no Ctrl-C through before it is over."""


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """One decoded picture and when it was shown."""

    pixels: UInt8[Tensor, "C H W"]
    """Upright, C = 3 or 1, stored channels last."""
    time_seconds: float
    """Since the first frame, by the source's time stamps; rises."""
    index: int
    """How many frames were decoded before it."""
    dropped_before: int = 0
    """Wanted frames since the one handed out before that nobody took in time."""
    after_gap: bool = False
    """The source was away before this frame: what a network remembers is from another time."""


class Mailbox:
    """The newest frame wins, and the one it takes the place of is counted; with ``keep_all`` the writer waits instead.

    Example:
        >>> import torch
        >>> from interlace.data.live_mailbox import LiveFrame, Mailbox
        >>> mailbox = Mailbox(keep_all=False)
        >>> for i in range(3):
        ...     mailbox.put(LiveFrame(torch.zeros(3, 4, 5, dtype=torch.uint8), i / 10, i))
        >>> frame = mailbox.take()
        >>> frame.index, frame.dropped_before, mailbox.dropped
        (2, 2, 2)
    """

    def __init__(self, *, keep_all: bool) -> None:
        self.dropped = 0
        self._is_done = False  # nothing will come any more, or nobody takes it
        self._keep_all = keep_all
        self._changed = Condition()
        self._frame: LiveFrame | None = None
        self._error: BaseException | None = None
        self._dropped_since = 0
        self._first_taken_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Nothing is left to take, and nothing will come."""
        with self._changed:
            return self._is_done and self._frame is None and self._error is None

    def put(self, frame: LiveFrame) -> None:
        """Leave a frame; after the end it is thrown away."""
        with self._changed:
            while self._keep_all and self._frame is not None and not self._is_done:
                self._changed.wait(_WAIT_SECONDS)
            if self._is_done:
                return
            if self._frame is not None:
                frame = replace(frame, after_gap=frame.after_gap or self._frame.after_gap)
                self._count_dropped(1)
            self._frame = frame
            self._changed.notify_all()

    def count_dropped(self, number: int) -> None:
        """Frames that were dropped before they came here."""
        with self._changed:
            self._count_dropped(number)

    def take(self, timeout_seconds: float | None = None) -> LiveFrame | None:
        """Wait for a frame; None when the time is over or nothing will come any more.

        Raises:
            Whatever the writer finished with, once its last frame was taken.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._changed:
            if self._first_taken_at is None:
                self._first_taken_at = time.monotonic()
                self._changed.notify_all()
            self._wait_for_news(until)
            frame, self._frame = self._frame, None
            if frame is None:
                self._raise_error()
                return None
            frame = replace(frame, dropped_before=self._dropped_since)
            self._dropped_since = 0
            self._changed.notify_all()
            return frame

    def wait_for_frame(self) -> None:
        """Wait until a frame lies here, and leave it.

        Raises:
            Whatever the writer finished with before its first frame.
        """
        with self._changed:
            self._wait_for_news(None)
            if self._frame is None:
                self._raise_error()

    def wait_for_reader(self) -> float:
        """Wait until someone asks for a frame; when that was, by :func:`time.monotonic`."""
        with self._changed:
            while self._first_taken_at is None and not self._is_done:
                self._changed.wait(_WAIT_SECONDS)
            return time.monotonic() if self._first_taken_at is None else self._first_taken_at

    def finish(self, error: BaseException | None = None) -> None:
        """The writer's last word; the frame that lies here can still be taken."""
        with self._changed:
            self._is_done = True
            self._error = self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """The reader's last word: frame and error are thrown away."""
        with self._changed:
            self._is_done = True
            self._frame = self._error = None
            self._changed.notify_all()

    def _wait_for_news(self, until: float | None) -> None:
        while self._frame is None and not self._is_done:
            remaining = _WAIT_SECONDS if until is None else until - time.monotonic()
            if remaining <= 0:
                return
            self._changed.wait(min(_WAIT_SECONDS, remaining))

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _count_dropped(self, number: int) -> None:
        self.dropped += number
        self._dropped_since += number
