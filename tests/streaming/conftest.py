"""Networks whose answers can be computed by hand or in another way, and a source that plays a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import interlace
from interlace.checkpoints import ModelCard
from interlace.data.live_mailbox import LiveFrame
from interlace.inference import Recognizer
from interlace.models.classifier import VideoClassifier

LABELS = ("dark", "medium", "bright")
LEVELS = (0.15, 0.45, 0.75)


class Brightness(VideoClassifier):
    """Sees whole clips. Logits fall with the squared distance of their mean to the level of each class."""

    streams = False

    def __init__(self, num_segments: int, in_chans: int) -> None:
        nn.Module.__init__(self)
        self.segments, self.in_chans = (num_segments,), in_chans
        self.register_buffer("levels", torch.tensor(LEVELS))
        self.seen: list[Tensor] = []

    def forward(self, clip: Tensor) -> Tensor:
        self.seen.append(clip)
        return -20 * (clip.mean((1, 2, 3, 4))[:, None] - self.levels) ** 2


class Sum(VideoClassifier):
    """Causal: its state is the sum of the mean brightness of all frames, and so are its logits, times 0, 1 and 2."""

    streams = True

    def __init__(self, num_segments: int) -> None:
        nn.Module.__init__(self)
        self.segments, self.in_chans = (num_segments,), 3

    def init_state(self, batch: int, image_size: int | None = None) -> tuple[Tensor, ...]:
        return (torch.zeros(batch),)

    def step(self, frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        total = state[0] + frame.mean((1, 2, 3))
        return total[:, None] * torch.arange(3.0), (total,)


def card(model: str, num_segments: int, color: str, channels: int, **more: Any) -> ModelCard:
    preprocessing = {"image_size": 28, "mean": [0.0] * channels, "std": [1.0] * channels, "color": color}
    return ModelCard(
        model=model,
        model_args={"num_classes": 3, "num_segments": num_segments},
        labels=LABELS,
        sampling=more.pop("sampling", {"name": "segment", "num_segments": num_segments}),
        preprocessing=preprocessing | more.pop("preprocessing", {}),
        **more,
    )


@pytest.fixture
def windowed() -> Callable[..., Recognizer]:
    """Of clips of 4 frames in a window of 2 s."""

    def make(color: str = "rgb", in_chans: int | None = None, **more: Any) -> Recognizer:
        channels = in_chans or (3 if color == "rgb" else 1)
        described = card("tsn_resnet18", 4, color, channels, **({"window_seconds": 2.0} | more))
        return Recognizer(Brightness(4, channels), described, device="cpu")

    return make


@pytest.fixture
def summing() -> Recognizer:
    return Recognizer(Sum(4), card("tsm_causal_resnet18", 4, "rgb", 3, window_seconds=2.0), device="cpu")


@pytest.fixture(scope="session")
def causal() -> Recognizer:
    """A real one; 2 frames a second."""
    arguments = {"num_classes": 3, "num_segments": 4}
    model = interlace.create_model("tsm_causal_test_resnet", **arguments)
    return Recognizer(model, card("tsm_causal_test_resnet", 4, "rgb", 3, window_seconds=2.0), device="cpu")


def frame(level: int, time_seconds: float, index: int = 0, **more: Any) -> LiveFrame:
    """Gray of one brightness, 36 x 48, stored as decoders do."""
    pixels = torch.full((36, 48, 3), level, dtype=torch.uint8).permute(2, 0, 1)
    return LiveFrame(pixels, time_seconds, index, **more)


class Playing:
    """A source that gives these frames; None stands for a wait in which none comes."""

    def __init__(self, frames: Iterable[LiveFrame | None]) -> None:
        self._frames: Iterator[LiveFrame | None] = iter(frames)
        self._next = next(self._frames, self)
        self.decoded = self.dropped = self.reconnects = 0
        self.away: str | None = None

    @property
    def is_over(self) -> bool:
        return self._next is self

    def next_frame(self, timeout_seconds: float | None = None) -> LiveFrame | None:
        given, self._next = self._next, next(self._frames, self)
        self.away = "it sleeps" if given is None else None
        if given is not None:
            self.decoded += 1 + given.dropped_before
            self.dropped += given.dropped_before
            self.reconnects += given.after_gap
        return given

    def close(self) -> None:
        self._next = self


@pytest.fixture
def make_frame() -> Callable[..., LiveFrame]:
    return frame


@pytest.fixture
def playing() -> Callable[[Iterable[LiveFrame | None]], Playing]:
    return Playing
