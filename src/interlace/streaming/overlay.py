"""What is said of a stream, drawn on its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from interlace.streaming.fonts import font_for

SMALLEST_SIDE = 240
"""Pixels of the short side below which frames are enlarged: text on them could not be read."""
LETTERS_HIGH = 24
"""The short side in heights of a letter."""
WHITE, DIM, SHADE = (255, 255, 255), (200, 200, 200), (0, 0, 0, 150)
BAR, EVENT = (38, 110, 210, 210), (214, 90, 0, 235)


@dataclass(frozen=True)
class Overlay:
    """What is drawn: the best labels with bars, the events that go on, and a line on the state of things."""

    top: tuple[tuple[str, float], ...] = ()
    """(label, score) pairs, best first; scores are parts of 1."""
    events: tuple[str, ...] = ()
    status: str = ""


def drawn_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a frame once it is drawn on: small ones are enlarged by a whole number.

    Example:
        >>> from interlace.streaming.overlay import drawn_size
        >>> drawn_size(720, 1280), drawn_size(64, 80)
        ((720, 1280), (256, 320))
    """
    times = math.ceil(SMALLEST_SIDE / min(height, width))
    return height * times, width * times


def draw(pixels: UInt8[Tensor, "C H W"], overlay: Overlay) -> UInt8[Tensor, "3 H2 W2"]:
    """A copy of a frame, colors or gray, with the overlay drawn on it; its size is that of :func:`drawn_size`.

    Labels of any length and script: what does not fit ends in an ellipsis.

    Example:
        >>> import torch
        >>> from interlace.streaming.overlay import Overlay, draw
        >>> draw(torch.zeros(1, 64, 80, dtype=torch.uint8), Overlay((("wave", 0.9), ("clap", 0.1)))).shape
        torch.Size([3, 256, 320])
    """
    rows = pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()
    picture = Image.fromarray(rows)
    height, width = drawn_size(picture.height, picture.width)
    if (height, width) != (picture.height, picture.width):
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    pen = _Pen(picture)
    pen.bars(overlay.top)
    bottom = pen.status(overlay.status)
    pen.events(overlay.events, bottom)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


class _Pen:
    """Draws on a picture; all lengths follow from the height of a letter."""

    def __init__(self, picture: Image.Image) -> None:
        self._draw = ImageDraw.Draw(picture, "RGBA")
        self.width, self.height = picture.size
        self.letter = max(11, round(min(picture.size) / LETTERS_HIGH))
        self.margin = max(3, self.letter // 2)

    def bars(self, top: Sequence[tuple[str, float]]) -> None:
        """One above the other at the top left, as many as the upper half holds."""
        row = round(1.6 * self.letter)
        left, right = self.margin, min(self.width - self.margin, self.margin + 20 * self.letter)
        most = max(1, (self.height // 2 - self.margin) // row)
        for place, (label, score) in enumerate(top[:most]):
            y = self.margin + place * row
            self._draw.rectangle((left, y, right - 1, y + row - 1), fill=SHADE)
            end = left + round(min(max(score, 0.0), 1.0) * (right - left))
            if end > left:
                self._draw.rectangle((left, y, end - 1, y + row - 2), fill=BAR)
            part = f"{score:.0%}"
            middle, gap = y + row / 2, self.margin
            room = right - left - 3 * gap - round(self._length("100%", self.letter))
            self._text(left + gap, middle, label, self.letter, WHITE, "lm", room)
            self._text(right - gap, middle, part, self.letter, WHITE, "rm", room)

    def status(self, text: str) -> int:
        """At the bottom; where the room above it ends."""
        if not text:
            return self.height - self.margin
        size = max(10, round(0.75 * self.letter))
        top = self.height - round(1.7 * size)
        self._draw.rectangle((0, top, self.width, self.height), fill=SHADE)
        middle = (top + self.height) / 2
        self._text(self.margin, middle, text, size, DIM, "lm", self.width - 2 * self.margin)
        return top - self.margin

    def events(self, labels: Sequence[str], bottom: int) -> None:
        """Large, from the bottom up, as many as the lower half holds."""
        size = round(1.4 * self.letter)
        row = round(1.6 * size)
        for label in labels:
            if bottom - row < self.height // 2:
                break
            room = self.width - 4 * self.margin
            text = _fitting(label, size, room)
            right = 3 * self.margin + round(self._length(text, size))
            self._draw.rectangle((self.margin, bottom - row, right, bottom), fill=EVENT)
            self._text(2 * self.margin, bottom - row / 2, text, size, WHITE, "lm", room)
            bottom -= row + self.margin

    def _text(
        self,
        x: int,
        y: float,
        text: str,
        size: int,
        color: tuple[int, int, int],
        anchor: str,
        room: int,
    ) -> None:
        text = _fitting(text, size, room)
        self._draw.text((x, y), text, fill=color, font=font_for(text, size), anchor=anchor)

    def _length(self, text: str, size: int) -> float:
        return font_for(text, size).getlength(text)


def _fitting(text: str, size: int, room: int) -> str:
    """One line of text, cut so that it is not longer than the room."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    font = font_for(text, size)
    if font.getlength(text) <= room:
        return text
    kept = len(text)
    while kept and font.getlength(text[:kept] + "\u2026") > room:
        kept -= 1
    return text[:kept] + "\u2026"
