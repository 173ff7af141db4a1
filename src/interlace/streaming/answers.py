"""The network at work: here, or in a thread beside the stream."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.streaming.frame_steps import FrameSteps


@dataclass(frozen=True)
class Answer:
    """What the network says of the stream up to a moment."""

    probabilities: Float64[Tensor, " K"]
    time_seconds: float
    """Of the newest frame that it has seen."""
    latency_seconds: float
    """From the arrival of that frame to the answer."""


class Answers:
    """Asks the network and hands out what it says.

    Beside the stream, frames go on arriving while the network works: a slow network then sees frames as evenly spread
    as a quick one does, only not as often. What is asked while it works is left out. Use it in a ``with``, which waits
    for the thread.

    Args:
        steps: the network. Beside the stream its ``answer`` must not depend on answers before it.
        beside: work in a thread.
    """

    def __init__(self, steps: FrameSteps, *, beside: bool) -> None:
        self._steps = steps
        self._thread = ThreadPoolExecutor(1, "network") if beside else None
        self._asked: Future[Answer] | None = None

    def ask(self, seen: UInt8[Tensor, "..."], time_seconds: float, arrived: float) -> None:
        """Show it what ``steps.take`` gave of a frame that arrived then, by ``perf_counter``."""
        if self._asked is not None:
            return
        if self._thread is not None:
            self._asked = self._thread.submit(self._answer, seen, time_seconds, arrived)
            return
        self._asked = Future()
        self._asked.set_result(self._answer(seen, time_seconds, arrived))

    def collect(self, *, wait: bool = False) -> Answer | None:
        """The answer, once, when it is there."""
        if self._asked is None or not (wait or self._asked.done()):
            return None
        answer = self._asked.result()
        self._asked = None
        return answer

    def close(self) -> None:
        """Wait for the thread; what it says is lost."""
        if self._thread is not None:
            self._thread.shutdown()

    def _answer(self, seen: Tensor, time_seconds: float, arrived: float) -> Answer:
        probabilities = self._steps.answer(seen)
        return Answer(probabilities, time_seconds, perf_counter() - arrived)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
