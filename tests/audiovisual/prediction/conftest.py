"""Small films with sound, and checkpoints of networks that know nothing."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import Extractor
from interlace.audiovisual.features.visual_features import create_visual_extractor
from interlace.audiovisual.tasks.event_checkpoint import EventCard, save_event_model

RATE = 8000
EVENTS = ("bark", "horn")


@pytest.fixture(scope="session")
def make_film() -> Callable[..., Path]:
    """Write 5 frames a second; in the seconds ``loud`` the picture is white and a tone is heard, else not."""

    def make(path: Path, num_seconds: int = 4, loud: tuple[int, ...] = (1,), has_sound: bool = True) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            pictures = container.add_stream("mpeg4", rate=5)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono") if has_sound else None
            for second in range(num_seconds):
                grey = np.full((48, 64, 3), 240 if second in loud else 20, np.uint8)
                for _ in range(5):
                    container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
                if sound is not None:
                    tone = 9000 * np.sin(np.arange(RATE) * 2 * np.pi * 1000 / RATE) * (second in loud)
                    heard = av.AudioFrame.from_ndarray(
                        tone.astype(np.int16)[None], format="s16", layout="mono"
                    )
                    heard.sample_rate, heard.pts, heard.time_base = RATE, second * RATE, Fraction(1, RATE)
                    container.mux(sound.encode(heard))
            container.mux(pictures.encode(None))
        return path

    return make


@pytest.fixture(scope="session")
def small_extractor() -> Extractor:
    """8 numbers of sound a second, 512 of picture."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        audio = create_audio_extractor(
            "log_mel", sample_rate_hz=RATE, num_bands=8, num_steps=1, highest_hz=4000.0
        )
        return Extractor(audio, create_visual_extractor("resnet10t", image_size=32, frames_per_second=2))


@pytest.fixture(scope="session")
def save_network() -> Callable[..., Any]:
    """Write a checkpoint with random weights, for the events bark and horn; the network is given back."""

    def save(path: Path, build: Callable[..., Any], task: str, method: str, own: Extractor | None) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            network = build(audio_features=8, visual_features=512, num_events=2).eval()
        card = EventCard(task, method, network.builder_args, EVENTS, None if own is None else own.spec)
        save_event_model(path, network, card, own)
        return network

    return save
