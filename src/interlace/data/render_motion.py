"""The five motions of the built-in data, each on a stage of its own.

Lengths are parts of the picture's side, x to the right and y down; time is a phase from 0 to 1 over the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

Picture = Float32[np.ndarray, "H W"]
Track = Float32[np.ndarray, " T"]
Stage = Callable[[Picture, Picture], Picture]
"""Distance to the stage's edge at (x, y), positive inside."""


@dataclass(frozen=True)
class Movement:
    """How an object stands in each of T frames."""

    x: Track
    y: Track
    radius: Track
    angle: Track
    opacity: Track


def _ramp(phase: Track, rng: np.random.Generator) -> Track:
    """0 before the motion, 1 after it, straight between; either rest lasts up to a fifth of the clip."""
    start, rest = rng.uniform(0.0, 0.2, size=2).tolist()
    return np.clip((phase - start) / (1 - rest - start), 0, 1).astype(np.float32)


def _move_right(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
    radius, y, slope = rng.uniform(0.09, 0.15), rng.uniform(0.25, 0.75), rng.uniform(-0.04, 0.04)
    start, end = rng.uniform(0.10, 0.30), rng.uniform(0.70, 0.90)
    ramp, still = _ramp(phase, rng), np.zeros_like(phase)
    movement = Movement(
        x=start + (end - start) * ramp,
        y=y + slope * (2 * ramp - 1),
        radius=still + radius,
        angle=still + rng.uniform(0, 2 * np.pi),
        opacity=still + 1,
    )
    return movement, lambda _, v: 1.3 * radius - abs(v - y)  # a road


def _move_down(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
    movement, road = _move_right(phase, rng)
    return replace(movement, x=movement.y, y=movement.x), lambda u, v: road(v, u)  # a shaft


def _approach(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
    far, near = rng.uniform(0.05, 0.09), rng.uniform(0.22, 0.32)
    x, y = rng.uniform(0.35, 0.65, size=2).tolist()
    ramp, still = _ramp(phase, rng), np.zeros_like(phase)

    def tunnel(u: Picture, v: Picture) -> Picture:
        # Square rings, each 1.6 times as wide as the one inside it.
        ring = np.log(np.maximum(abs(u - x), abs(v - y)) + 0.02) / float(np.log(1.6))
        return 0.05 * (0.5 - 2 * abs(ring % 1 - 0.5))

    movement = Movement(
        x=still + x,
        y=still + y,
        radius=far * (near / far) ** ramp,
        angle=still + rng.uniform(0, 2 * np.pi),
        opacity=still + 1,
    )
    return movement, tunnel


def _turn_clockwise(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
    radius, orbit = rng.uniform(0.09, 0.13), rng.uniform(0.20, 0.27)
    x, y = rng.uniform(0.42, 0.58, size=2).tolist()
    # At most 1.6 pi in 0.6 of the clip: 60 degrees from one of eight segments to the next, never ambiguous.
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(0.9 * np.pi, 1.6 * np.pi) * _ramp(phase, rng)
    still = np.zeros_like(phase)
    movement = Movement(
        x=x + orbit * np.cos(angle),
        y=y + orbit * np.sin(angle),  # y points down: a growing angle runs clockwise
        radius=still + radius,
        angle=angle,
        opacity=still + 1,
    )
    return movement, lambda u, v: orbit + 1.3 * radius - np.hypot(u - x, v - y)  # a turntable


def _appear(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
    radius, middle, duration = rng.uniform(0.12, 0.2), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.3)
    x, y = rng.uniform(0.28, 0.72, size=2).tolist()
    ramp = np.clip((phase - middle) / duration + 0.5, 0, 1).astype(np.float32)
    still = np.zeros_like(phase)
    movement = Movement(
        x=still + x,
        y=still + y,
        radius=radius * (0.4 + 0.6 * ramp),
        angle=still + rng.uniform(0, 2 * np.pi),
        opacity=ramp,
    )
    return movement, lambda u, v: 1.25 * radius - np.maximum(abs(u - x), abs(v - y))  # a window


Motion = Callable[[Track, np.random.Generator], tuple[Movement, Stage]]
"""Draws how the object moves over the phases of a clip, and what it moves on."""

MOTIONS: dict[str, Motion] = {
    "move_right": _move_right,
    "move_down": _move_down,
    "approach": _approach,
    "turn_clockwise": _turn_clockwise,
    "appear": _appear,
}
