"""A scene whose motion is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter


@pytest.fixture(scope="session")
def moving_square() -> Callable[..., Path]:
    """Pictures of a textured square of 40 pixels that moves by ``step`` (x, y) a frame; the ground does not."""

    def make(
        folder: Path, num_frames: int = 8, step: tuple[int, int] = (3, 0), size: tuple[int, int] = (72, 96)
    ) -> Path:
        rng = np.random.default_rng(0)
        ground, square = (_texture(rng, *shape) for shape in (size, (40, 40)))
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(num_frames):
            picture = ground.copy()
            top, left = 16 + i * step[1], 20 + i * step[0]
            picture[top : top + 40, left : left + 40] = square
            Image.fromarray(picture).convert("RGB").save(folder / f"img_{i + 1:05d}.png")
        return folder

    return make


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    noise = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8))
    smooth = np.asarray(noise.filter(ImageFilter.GaussianBlur(2)), dtype=np.float64)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
