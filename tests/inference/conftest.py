"""A network whose answer can be computed by hand: it names the mean brightness of the clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.inference import Recognizer
from interlace.models.classifier import VideoClassifier

LABELS = ("dark", "medium", "bright")
LEVELS = (0.15, 0.45, 0.75)


class Brightness(VideoClassifier):
    """Logits fall with the squared distance to the level of each class."""

    def __init__(self, in_chans: int = 3) -> None:
        nn.Module.__init__(self)
        self.in_chans = in_chans
        self.register_buffer("levels", torch.tensor(LEVELS))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, clip: Tensor) -> Tensor:
        self.shapes.append(tuple(clip.shape))
        return -20 * (clip.mean((1, 2, 3, 4))[:, None] - self.levels) ** 2


@pytest.fixture
def make_recognizer() -> Callable[..., Recognizer]:
    def make(color: str = "rgb", num_segments: int = 4, **card: Any) -> Recognizer:
        channels = 3 if color == "rgb" else 1
        described = ModelCard(
            model="tsn_resnet18",
            model_args={"num_classes": 3, "num_segments": num_segments},
            labels=LABELS,
            sampling={"name": "segment", "num_segments": num_segments},
            preprocessing={
                "image_size": 28,
                "mean": [0.0] * channels,
                "std": [1.0] * channels,
                "color": color,
            },
            **card,
        )
        return Recognizer(Brightness(channels), described, device="cpu")

    return make


@pytest.fixture
def recognizer(make_recognizer: Callable[..., Recognizer]) -> Recognizer:
    return make_recognizer()
