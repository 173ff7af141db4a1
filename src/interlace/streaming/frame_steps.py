"""A network that is shown one frame after another: what it takes of them, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.data.live_thinning import Thinning
from interlace.data.pixels import to_gray
from interlace.data.views import spatial_views
from interlace.inference.recognizer import Recognizer


class FrameSteps(ABC):
    """Frames to probabilities, one step a frame. See :class:`CausalSteps` and :class:`WindowSteps`.

    Attributes: ``recognizer``, ``window_seconds`` (what a clip spans), ``smooth_seconds`` (time over which answers
    are best averaged), ``frame_rate`` (frames that are taken in a second; None: all), ``is_repeatable`` (an answer does
    not depend on those before it).
    """

    smooth_seconds: float
    is_repeatable: bool

    def __init__(self, recognizer: Recognizer, window_seconds: float | None, rate: float | None) -> None:
        self.recognizer = recognizer
        self.window_seconds = recognizer.window_seconds if window_seconds is None else window_seconds
        self.frame_rate = rate
        self._thinning = Thinning(rate)
        self._is_gray = recognizer.card.preprocessing.get("color", "rgb") == "gray"
        self._image_size = recognizer.card.preprocessing["image_size"]

    def step(self, pixels: UInt8[Tensor, "3 H W"], time_seconds: float) -> Float64[Tensor, " K"] | None:
        """Take a frame, of any size; the probabilities, or None where none are due."""
        seen = self.take(pixels, time_seconds)
        return None if seen is None else self.answer(seen)

    @property
    @abstractmethod
    def about(self) -> str:
        """What the network sees, in words."""

    @abstractmethod
    def take(self, pixels: UInt8[Tensor, "3 H W"], time_seconds: float) -> UInt8[Tensor, "..."] | None:
        """What the network is to be shown now, which is quick; None where no answer is due."""

    @abstractmethod
    def answer(self, seen: UInt8[Tensor, "..."]) -> Float64[Tensor, " K"]:
        """The probabilities for what :meth:`take` gave, which takes its time.

        Raises:
            ValueError: the network gives numbers that are not finite.
        """

    @abstractmethod
    def last(self) -> UInt8[Tensor, "..."] | None:
        """What is left to show at the end of a stream that was too short for an answer."""

    def reset(self) -> None:
        """Forget all frames: what comes now does not follow them."""
        self._thinning = Thinning(self.frame_rate)

    def warm_up(self) -> None:
        """Let the network answer once for nothing: the first time takes longest."""
        black = torch.zeros(3, self._image_size, self._image_size, dtype=torch.uint8)
        seen = self.take(black, 0.0)
        seen = self.last() if seen is None else seen
        if seen is not None:
            self.answer(seen)
        self.reset()

    def _in_color(self, pixels: Tensor) -> Tensor:
        """As the network was trained to see it."""
        if not self._is_gray:
            return pixels
        gray = to_gray(pixels.permute(1, 2, 0).contiguous().numpy())
        return torch.from_numpy(np.require(gray, requirements="W")).permute(2, 0, 1)

    def _cut(self, pixels: Tensor) -> Tensor:
        """The view of testing, (C, S, S)."""
        return spatial_views(self._in_color(pixels)[None], "center", self._image_size)[0, 0]


def positive(name: str, given: float | None, default: float) -> float:
    """What was given, or else the default; ValueError if it is not above zero."""
    value = default if given is None else given
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value:g} is not above zero")
    return value
