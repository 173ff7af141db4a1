"""A stream to look at: its frames with what is said of them, in a window or a video file."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import UInt8
from torch import Tensor

from interlace.streaming.loop import Update
from interlace.streaming.overlay import Overlay, draw
from interlace.streaming.terminal import state_of

Show = Callable[[UInt8[Tensor, "3 H W"], float], object]
"""Takes a picture and its time in seconds."""


class Pictures:
    """Draws each frame once, for all who show it.

    Args:
        shows: called with every picture, as large as :func:`interlace.streaming.overlay.drawn_size` says.
    """

    def __init__(self, *shows: Show) -> None:
        self._shows = shows

    def __call__(self, update: Update) -> None:
        """Draw and show a frame."""
        if update.frame is None:
            return
        labels = tuple(event.label for event in update.running)
        picture = draw(update.frame.pixels, Overlay(update.top, labels, state_of(update)))
        for show in self._shows:
            show(picture, update.time_seconds)
