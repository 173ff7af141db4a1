"""Textures of the built-in data: sums of plane waves, so that they can move by part of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class Texture:
    """Color at (u, v) = base + sum_k color_k cos(2 pi wave_k . (u, v) + phase_k)."""

    base: Float32[np.ndarray, "channels=3"]
    colors: Float32[np.ndarray, "K 3"]
    waves: Float32[np.ndarray, "K 2"]
    phases: Float32[np.ndarray, " K"]

    def __call__(
        self, u: Float32[np.ndarray, "*grid"], v: Float32[np.ndarray, "*grid"]
    ) -> Float32[np.ndarray, "*grid 3"]:
        """Colors at the points (u, v), about 0 to 1."""
        return self.base + np.cos(self._phase_at(u, v)) @ self.colors

    def drifting(
        self,
        u: Float32[np.ndarray, "H W"],
        v: Float32[np.ndarray, "H W"],
        shift: Float32[np.ndarray, "T 2"],
    ) -> Float32[np.ndarray, "T H W 3"]:
        """Colors at (u, v) of T frames, the texture moved by ``shift`` in each.

        A shift turns the phase of each wave, and cos(a - b) = cos a cos b + sin a sin b: one matrix product.
        """
        phase, turn = self._phase_at(u, v)[..., None, :], 2 * np.pi * shift @ self.waves.T
        patterns = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)  # (H, W, 1, 2K)
        patterns = patterns * np.tile(self.colors.T, 2)  # (H, W, 3, 2K)
        turns = np.concatenate([np.cos(turn), np.sin(turn)], axis=-1)  # (T, 2K)
        moved = turns.astype(np.float32) @ patterns.reshape(-1, turns.shape[-1]).T
        return self.base + moved.reshape(len(shift), *u.shape, 3)

    def _phase_at(
        self, u: Float32[np.ndarray, "*grid"], v: Float32[np.ndarray, "*grid"]
    ) -> Float32[np.ndarray, "*grid K"]:
        angle = u[..., None] * self.waves[:, 0] + v[..., None] * self.waves[:, 1]
        return np.float32(2 * np.pi) * angle + self.phases


def draw_texture(
    rng: np.random.Generator,
    *,
    brightness: tuple[float, float],
    contrast: float,
    frequencies: tuple[float, float],
    num_waves: int = 4,
) -> Texture:
    """Draw a texture: mean color within ``brightness``, waves of ``frequencies`` periods per unit of length.

    Example:
        >>> import numpy as np
        >>> from interlace.data.render_texture import draw_texture
        >>> texture = draw_texture(
        ...     np.random.default_rng(0), brightness=(0.4, 0.6), contrast=0.1, frequencies=(1.0, 4.0)
        ... )
        >>> texture.waves.shape
        (4, 2)
    """
    frequency, direction = rng.uniform(*frequencies, num_waves), rng.uniform(0, 2 * np.pi, num_waves)
    return Texture(
        base=rng.uniform(*brightness, size=3).astype(np.float32),
        colors=rng.normal(0, contrast, size=(num_waves, 3)).astype(np.float32),
        waves=(frequency * np.array([np.cos(direction), np.sin(direction)])).T.astype(np.float32),
        phases=rng.uniform(0, 2 * np.pi, num_waves).astype(np.float32),
    )
