"""Places for the labels of a picture: each as near to its disc as it can stand without covering anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from interlace.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
Circle = tuple[float, float, float]
"""x, y, radius."""
Point = tuple[float, float]

DISTANCES = (3, 10, 20, 32, 46, 62, 80, 100, 125, 150)
DIRECTIONS = 24
PASSES = 4
MARGIN = (12.0, 3.0)
"""Labels keep this far from each other, across and up; side by side they would read as one."""

APART = 12.0
"""And, if they can, this far from the discs of others."""
LEADER_POINTS = 6
"""A label no farther from its disc than this needs no line to it."""


def write_labels(
    axes: Axes,
    labels: Sequence[str],
    at: Sequence[Point],
    *,
    across: Sequence[float],
    colors: Sequence[str],
    font_size: float,
    ink: str,
) -> None:
    """Write each label beside its disc, where it covers no disc and no other label; with a line where that is far.

    Args:
        axes: with its limits set and its discs drawn.
        labels: one for each disc.
        at: where the discs are, in the units of the axes.
        across: their diameters, in points.
        colors: of the lines.
        font_size: in points.
        ink: the color of the labels.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from interlace.plots.labels import write_labels
        >>> axes = Figure().add_subplot()
        >>> write_labels(axes, ["TIN"], [(0.5, 0.5)], across=[7.0], colors=["red"], font_size=8.0, ink="black")
        >>> axes.texts[0].get_text()
        'TIN'
    """
    pixels_per_point = axes.figure.dpi / 72
    frame = axes.get_window_extent()
    circles = [
        (float(x), float(y), diameter / 2 * pixels_per_point)
        for (x, y), diameter in zip(axes.transData.transform(at), across, strict=True)
    ]
    texts = [
        axes.text(
            0, 0, printable(label), fontsize=font_size, color=ink, zorder=6, va="bottom",
            transform=None, parse_math=False,
        )
        for label in labels
    ]  # fmt: skip
    extents = [text.get_window_extent() for text in texts]
    sizes = [(extent.width, extent.height) for extent in extents]
    boxes = place_labels(circles, sizes, (frame.x0, frame.y0, frame.x1, frame.y1))
    for text, circle, box, color in zip(texts, circles, boxes, colors, strict=True):
        text.set_position(box[:2])
        start, end = leader(circle, box)
        if math.dist(start, end) > LEADER_POINTS * pixels_per_point:
            axes.plot(*zip(start, end, strict=True), color=color, linewidth=0.8, transform=None)


def place_labels(circles: Sequence[Circle], sizes: Sequence[Point], inside: Box) -> list[Box]:
    """A box for the label of each circle.

    Each takes the best of places around its circle, large circles first; then, a few times over, each moves to
    what is the best place now that the others stand.

    Args:
        circles: all in one unit, pixels for instance.
        sizes: width and height of each label.
        inside: where labels may stand.

    Example:
        >>> from interlace.plots.labels import place_labels
        >>> place_labels([(50.0, 50.0, 10.0)], [(20.0, 8.0)], (0.0, 0.0, 100.0, 100.0))
        [(63.0, 46.0, 83.0, 54.0)]
    """
    discs = np.array(circles, dtype=float).reshape(-1, 3)
    boxes = np.full((len(discs), 4), np.nan)
    order = np.argsort(-discs[:, 2], kind="stable")
    for _ in range(PASSES):
        before = boxes.copy()
        for i in order:
            others = np.delete(boxes, i, axis=0)
            standing = others[~np.isnan(others[:, 0])]
            places = _places(discs[i], sizes[i])
            costs = _costs(places, discs[i], standing, np.delete(discs, i, axis=0), inside)
            boxes[i] = places[np.argmin(costs)]
        if np.array_equal(boxes, before):
            break
    return [(float(left), float(bottom), float(right), float(top)) for left, bottom, right, top in boxes]


def leader(circle: Circle, box: Box) -> tuple[Point, Point]:
    """The line from the edge of a circle to its label.

    Example:
        >>> from interlace.plots.labels import leader
        >>> leader((0.0, 0.0, 10.0), (30.0, -4.0, 50.0, 4.0))
        ((10.0, 0.0), (30.0, 0.0))
    """
    start, end = _leaders(np.array(circle), np.array([box]))
    return (float(start[0, 0]), float(start[0, 1])), (float(end[0, 0]), float(end[0, 1]))


def _places(circle: np.ndarray, size: Point) -> np.ndarray:
    """Boxes of a size around a circle: right first, then counter-clockwise, ever farther."""
    x, y, radius = circle
    reach = radius + np.repeat(DISTANCES, DIRECTIONS)
    angle = np.tile(2 * math.pi * np.arange(DIRECTIONS) / DIRECTIONS, len(DISTANCES))
    half_width, half_height = size[0] / 2, size[1] / 2
    middle_x = x + np.cos(angle) * (reach + half_width)
    middle_y = y + np.sin(angle) * (reach + half_height)
    sides = (middle_x - half_width, middle_y - half_height, middle_x + half_width, middle_y + half_height)
    return np.stack(sides, axis=1)


def _costs(
    places: np.ndarray, own: np.ndarray, boxes: np.ndarray, circles: np.ndarray, inside: Box
) -> np.ndarray:
    """How bad each place is: what label and leader cover, how far it is; the right side is read first."""
    start, end = _leaders(own, places)
    line = start[:, None] + np.linspace(0, 1, 9)[:, None] * (end - start)[:, None]  # (places, points, 2)
    points = np.concatenate([line, line], axis=2).reshape(-1, 4)
    covered = overlap(places, boxes).sum(1)
    covered += 20.0 * (overlap(points, boxes) > 0).sum(1).reshape(len(places), -1).sum(1)
    for x, y, radius in (*circles, own):
        covered += 40.0 * np.maximum(0.0, radius + 1 - _distances((x, y), places))
    for x, y, radius in circles:
        covered += 5.0 * (np.hypot(*(line - [x, y]).T) < radius).sum(0)
        covered += 0.005 * np.maximum(0.0, radius + APART - _distances((x, y), places))
    left, bottom, right, top = places.T
    outside = np.stack([inside[0] - left, right - inside[2], inside[1] - bottom, top - inside[3]]).max(0)
    away = np.maximum(DISTANCES[0], np.hypot(*(end - start).T))  # nearer is no better
    return 1000 * (covered + 10 * np.maximum(0.0, outside)) + away + np.where(left >= own[0], 0, 4)


def _distances(point: Point, boxes: np.ndarray) -> np.ndarray:
    """From a point to each box."""
    return np.hypot(*(np.array(point) - np.clip(point, boxes[:, :2], boxes[:, 2:])).T)


def _leaders(circle: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the edge of one circle to the nearest point of each box."""
    middle = circle[:2]
    end = np.clip(middle, boxes[:, :2], boxes[:, 2:])
    distance = np.hypot(*(end - middle).T)
    share = np.minimum(1.0, circle[2] / np.maximum(distance, 1e-9))
    return middle + share[:, None] * (end - middle), end


def overlap(boxes: np.ndarray, others: np.ndarray, margin: Point = MARGIN) -> np.ndarray:
    """The area that each box (N, 4) shares with each other one (M, 4), if they keep less than a margin between them.

    Example:
        >>> import numpy as np
        >>> from interlace.plots.labels import overlap
        >>> overlap(np.array([[0, 0, 10, 10]]), np.array([[20, 0, 30, 10], [8, 0, 30, 10]]), margin=(0.0, 0.0))
        array([[ 0., 20.]])
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.maximum(0.0, high - low + margin).prod(-1)
