"""Classes that only the two ends of a clip tell together: what is shown at its start decides what its end means.

A disc stands in one of four corners for the first part of a clip, then nothing happens, then the disc stands in a
corner again. The class is how far round it has come. Each of the four endings has one and the same beginning, so the
end alone says nothing, nor does the beginning; and a network that adds up what it makes of single frames, or of frames
near each other, cannot say more than chance: every corner is as frequent at either end, whatever the class.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from interlace.data.render_motion import Movement, Picture, Stage, Track
from interlace.data.render_scene import draw_scene

CLASSES = ("returns_clockwise", "returns_counterclockwise", "returns_here", "returns_opposite")
_CORNERS_ON = {
    "returns_here": 0,
    "returns_clockwise": 1,
    "returns_opposite": 2,
    "returns_counterclockwise": 3,
}
PAUSE = 0.34
"""Of eight frames two or three show nothing."""
_LONGEST_PAUSE = 0.66
"""So that the disc is there for more than one of eight segments at either end, and each sampled clip shows both."""
_SPREAD = 0.03
_INSET = (0.2, 0.28)


def paint_returns(
    rng: np.random.Generator, *, size: int = 96, pause: float = PAUSE
) -> dict[str, UInt8[np.ndarray, "T size size 3"]]:
    """One scene with all four endings: class -> frames, alike up to the last part.

    Args:
        rng: random numbers, of which all is drawn.
        size: height and width in pixels.
        pause: how much of the clip shows no disc, give or take 0.06.

    Raises:
        ValueError: the pause is out of range.

    Example:
        >>> import numpy as np
        >>> from interlace.data.render_long_range import paint_returns
        >>> clips = paint_returns(np.random.default_rng(0), size=32)
        >>> here, opposite = clips["returns_here"], clips["returns_opposite"]
        >>> len(here) == len(opposite), bool((here[0] == opposite[0]).all()), bool((here[-1] == opposite[-1]).all())
        (True, True, False)
    """
    require_pause(pause)
    part = (1 - pause) / 2
    corner = int(rng.integers(4))
    endings: dict[str, Movement] = {}

    def visits(phase: Track, rng: np.random.Generator) -> tuple[Movement, Stage]:
        (beginning, end), (x, y) = (
            rng.uniform(part - _SPREAD, part + _SPREAD, size=2),
            rng.uniform(*_INSET, size=2),
        )
        radius, angle = float(rng.uniform(0.09, 0.14)), float(rng.uniform(0, 2 * np.pi))
        for name, corners_on in _CORNERS_ON.items():
            still, late = np.zeros_like(phase), phase > 0.5
            here, there = _place(corner, x, y), _place(corner + corners_on, x, y)
            endings[name] = Movement(
                x=np.where(late, np.float32(there[0]), np.float32(here[0])),
                y=np.where(late, np.float32(there[1]), np.float32(here[1])),
                radius=still + radius,
                angle=still + angle,
                opacity=((phase < beginning) | (phase > 1 - end)).astype(np.float32),
            )
        return endings["returns_here"], _nothing

    scene = draw_scene(visits, rng)
    return {name: scene.paint(endings[name], size=size) for name in CLASSES}


def require_pause(pause: float) -> None:
    """See that the two parts with the disc are there and apart.

    Raises:
        ValueError: they are not.

    Example:
        >>> from interlace.data.render_long_range import require_pause
        >>> require_pause(0.5)
    """
    if not 2 * _SPREAD <= pause <= _LONGEST_PAUSE:
        raise ValueError(f"pause={pause}: a share of the clip from {2 * _SPREAD} to {_LONGEST_PAUSE}")


def _place(corner: int, x: float, y: float) -> tuple[float, float]:
    """So far from the edges; corners are counted clockwise from the top left one."""
    return (x, 1 - x, 1 - x, x)[corner % 4], (y, y, 1 - y, 1 - y)[corner % 4]


def _nothing(u: Picture, v: Picture) -> Picture:
    """No stage: every pixel is far outside."""
    del v
    return np.full_like(u, -1)
