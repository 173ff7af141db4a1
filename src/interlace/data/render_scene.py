"""What the built-in data shows: scenes in which only the order of the frames tells two classes apart.

A draw is one scene: a drifting background, a stage, still objects, one object that moves, a changing light.
Five motions are painted forwards (`MOTIONS`); the other class of each pair is the same painting backwards.
So the frames say which *pair* a clip belongs to (every motion has a stage of its own: a road, a shaft, a
tunnel, a turntable, a window), and nothing but their order says which of the two classes it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from interlace.data.render_motion import MOTIONS, Motion, Movement, Picture, Stage, Track
from interlace.data.render_texture import Texture, draw_texture

FRAME_RATES = (10, 12, 15, 20, 24, 25, 30)
MIN_FRAMES, MAX_FRAMES = 25, 71


@dataclass(frozen=True)
class Body:
    """A disc with lobes (0: round, 3: like a triangle, 5: like a star) and the texture that it carries."""

    lobes: int
    lobe_depth: float
    texture: Texture


@dataclass(frozen=True)
class Scene:
    """What is drawn once; where its object moves may be asked several times."""

    phase: Track
    background: Texture
    drift: Float32[np.ndarray, "2"]
    movement: Movement
    stage: Stage
    body: Body
    still_bodies: list[tuple[Body, Movement]]
    light: tuple[float, float]
    shade: Float32[np.ndarray, "3"]

    def paint(self, movement: Movement, *, size: int) -> UInt8[np.ndarray, "T size size 3"]:
        """Its frames in RGB, with the object where the movement has it."""
        v, u = np.meshgrid(*2 * [(np.arange(size, dtype=np.float32) + 0.5) / size], indexing="ij")
        frames = self.background.drifting(u, v, self.phase[:, None] * self.drift)
        frames *= 1 - _coverage(self.stage(u, v), size)[..., None] * self.shade
        for still_body, place in self.still_bodies:
            _put(frames, still_body, place, u, v)
        _put(frames, self.body, movement, u, v)
        light_from, light_to = self.light
        frames *= 255 * (light_from + (light_to - light_from) * self.phase)[:, None, None, None]
        return np.clip(frames, 0, 255).astype(np.uint8)


def draw_scene(motion: Motion, rng: np.random.Generator) -> Scene:
    """Draw a scene with a motion's own stage in it."""
    # Odd, because then the middles of T equal segments of a clip and of its reversal are the same frames, for
    # every T, and a network that is blind to order must score both alike.
    num_frames = int(rng.integers(MIN_FRAMES // 2, MAX_FRAMES // 2 + 1)) * 2 + 1
    phase = np.linspace(0, 1, num_frames, dtype=np.float32)
    background = draw_texture(rng, brightness=(0.25, 0.55), contrast=0.12, frequencies=(1.0, 5.0))
    drift = rng.uniform(-0.35, 0.35, size=2).astype(np.float32)
    movement, stage = motion(phase, rng)
    body = _draw_body(rng)
    still_bodies = [(_draw_body(rng), _draw_place(rng)) for _ in range(rng.integers(1, 3))]
    light_from, light_to = rng.uniform(0.7, 1.25, size=2).tolist()
    shade = rng.uniform(0.35, 0.65, size=3).astype(np.float32)
    return Scene(phase, background, drift, movement, stage, body, still_bodies, (light_from, light_to), shade)


def paint(motion: str, rng: np.random.Generator, *, size: int = 96) -> UInt8[np.ndarray, "T size size 3"]:
    """Draw a scene and paint its frames in RGB; ``motion`` is one of `MOTIONS`.

    Raises:
        KeyError: ``motion`` is not in `MOTIONS`.

    Example:
        >>> import numpy as np
        >>> from interlace.data.render_scene import paint
        >>> paint("approach", np.random.default_rng(0), size=64).shape[1:]
        (64, 64, 3)
    """
    scene = draw_scene(MOTIONS[motion], rng)
    return scene.paint(scene.movement, size=size)


def _draw_body(rng: np.random.Generator) -> Body:
    lobes = int(rng.choice((0, 2, 3, 4, 5)))
    texture = draw_texture(rng, brightness=(0.7, 0.95), contrast=0.25, frequencies=(0.2, 0.6))
    return Body(lobes, float(rng.uniform(0.15, 0.3)), texture)


def _coverage(distance: np.ndarray, size: int) -> np.ndarray:
    """Part of a pixel that lies inside an edge at this distance: anti-aliasing."""
    return np.clip(distance * size + 0.5, 0, 1)


def _draw_place(rng: np.random.Generator) -> Movement:
    """Where a still object stands, as a movement of one frame."""
    one = np.ones(1, dtype=np.float32)
    return Movement(
        x=one * rng.uniform(0.1, 0.9),
        y=one * rng.uniform(0.1, 0.9),
        radius=one * rng.uniform(0.06, 0.13),
        angle=one * rng.uniform(0, 2 * np.pi),
        opacity=one,
    )


def _put(frames: np.ndarray, body: Body, movement: Movement, u: Picture, v: Picture) -> None:
    """Paint a body over the frames, in place, at each frame where its movement has brought it."""
    radius, angle = movement.radius[:, None, None], movement.angle[:, None, None]
    across, down = (u - movement.x[:, None, None]) / radius, (v - movement.y[:, None, None]) / radius
    along = across * np.cos(angle) + down * np.sin(angle)  # coordinates that turn and grow with the body
    aside = down * np.cos(angle) - across * np.sin(angle)
    outline = 1 + body.lobe_depth * np.cos(body.lobes * np.arctan2(aside, along)) if body.lobes else 1.0
    alpha = movement.opacity[:, None, None] * _coverage((outline - np.hypot(along, aside)) * radius, len(u))
    frames += alpha[..., None] * (body.texture(along, aside) - frames)
