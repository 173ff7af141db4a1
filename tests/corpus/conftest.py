"""A small network with labels, and a handful of videos of which some cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint

LABELS = ("wave", "clap", "jump", "sit", "run")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TSN with random weights, whose classifier tells videos apart."""
    torch.manual_seed(3)
    model = interlace.create_model("tsn_test_resnet", num_classes=len(LABELS), num_segments=3)
    torch.nn.init.normal_(model.head.weight, 0.0, 0.5)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=LABELS,
        sampling={"name": "segment", "num_segments": 3},
        preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
    )
    return save_checkpoint(tmp_path_factory.mktemp("network") / "tsn.safetensors", model, card)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Six videos of 5 to 10 frames, a broken one and an empty one."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        make_video(folder / f"v{number}.mp4", num_frames=5 + number, size=(32 + 16 * (number % 3), 64))
    (folder / "broken.mp4").write_bytes(b"no video" * 99)
    (folder / "empty.mp4").touch()
    return folder
