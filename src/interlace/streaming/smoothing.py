"""Answers of several moments as one, so that a single odd frame changes little."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Smoothing(Protocol):
    """Probabilities in, probabilities out."""

    def __call__(self, probabilities: Float[Tensor, " K"], time_seconds: float) -> Float[Tensor, " K"]:
        """The next answer, with those before it."""

    def reset(self) -> None:
        """Forget them."""


class Exponential:
    """The past counts 1/e after ``seconds``, however many answers there are in that time; 0 leaves each alone.

    The first answer stands for all that came before it.

    Raises:
        ValueError: a negative time.

    Example:
        >>> import torch
        >>> from interlace.streaming.smoothing import Exponential
        >>> smooth = Exponential(1.0)
        >>> [round(smooth(torch.tensor([p]), t).item(), 3) for t, p in ((0.0, 0.0), (1.0, 1.0), (3.0, 1.0))]
        [0.0, 0.632, 0.95]
    """

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"smooth_seconds={seconds:g} is not a time; 0 turns smoothing off")
        self.seconds = seconds
        self._mean: Tensor | None = None
        self._time_seconds = 0.0

    def __call__(self, probabilities: Float[Tensor, " K"], time_seconds: float) -> Float[Tensor, " K"]:
        """The mean as of now."""
        if self._mean is None or self.seconds == 0:
            self._mean = probabilities
        else:
            kept = math.exp(-(time_seconds - self._time_seconds) / self.seconds)
            self._mean = kept * self._mean + (1 - kept) * probabilities
        self._time_seconds = time_seconds
        return self._mean

    def reset(self) -> None:
        """The next answer is the first."""
        self._mean = None

    def __str__(self) -> str:
        return f"over {self.seconds:.3g} s"


class MeanOfLast:
    """The plain mean of the last ``count`` answers.

    Raises:
        ValueError: the count is below 1.

    Example:
        >>> import torch
        >>> from interlace.streaming.smoothing import MeanOfLast
        >>> smooth = MeanOfLast(2)
        >>> [smooth(torch.tensor([p]), 0.0).item() for p in (1.0, 0.0, 0.0)]
        [1.0, 0.5, 0.0]
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"smooth_last={count} is no number of answers; 1 turns smoothing off")
        self._last: deque[Tensor] = deque(maxlen=count)

    def __call__(self, probabilities: Float[Tensor, " K"], time_seconds: float) -> Float[Tensor, " K"]:  # noqa: ARG002
        """The mean with this one, whenever it came."""
        self._last.append(probabilities)
        return sum(self._last, start=probabilities.new_zeros(())) / len(self._last)

    def reset(self) -> None:
        """The next answer is the first."""
        self._last.clear()

    def __str__(self) -> str:
        return f"mean of the last {self._last.maxlen}"
