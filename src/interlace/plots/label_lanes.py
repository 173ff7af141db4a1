"""Rows of colored boxes that say what is when, and a key for names that do not fit into their boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.reports import COLORS, INK, LETTER, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = 8.0
LONGEST = 60
"""Letters of a name in the key; longer ones lose their middle."""
MOST_ROWS = 8
"""Rows of the key, before it says how many names are left out."""
EMPTY, GREY = "#f3f5f7", "#5b6470"
FILLS = (COLORS[2], COLORS[4], COLORS[3], COLORS[5])
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
"""With four fills they tell twenty labels apart; whoever does not see colors has the names."""


def runs(values: Sequence[Any], length: float = math.inf) -> list[tuple[float, float, Any]]:
    """(start, end, value) of each stretch of equal values, one a second; what ends after ``length`` ends there.

    Example:
        >>> from interlace.plots.label_lanes import runs
        >>> runs(["", "bark", "bark", ""])
        [(0.0, 1.0, ''), (1.0, 3.0, 'bark'), (3.0, 4.0, '')]
        >>> runs(["", "bark"], 1.5)
        [(0.0, 1.0, ''), (1.0, 1.5, 'bark')]
    """
    found: list[tuple[float, float, Any]] = []
    start = 0
    for value, group in groupby(values):
        end = start + len(list(group))
        found.append((float(start), min(float(end), length), value))
        start = end
    return found


def text_inches(text: str, font: float = FONT) -> float:
    """About how wide a text is, with some room on both sides; letters beyond Latin and Greek are wide ones.

    Example:
        >>> from interlace.plots.label_lanes import text_inches
        >>> round(text_inches("bark"), 2)
        0.37
    """
    letters = sum(1.0 if ord(letter) < 0x500 else 1.8 for letter in text)
    return LETTER * font / 72 * letters + 0.1


def key_of(lanes: Mapping[str, Sequence[str]], second_inches: float, length: float = math.inf) -> list[str]:
    """The labels that fit into none of their boxes, in the order of time.

    Example:
        >>> from interlace.plots.label_lanes import key_of
        >>> key_of({"label": ["bark", "bark", "a violin, played slowly"]}, second_inches=0.5)
        ['a violin, played slowly']
    """
    widest: dict[str, float] = {}
    for labels in lanes.values():
        for start, end, label in runs(labels, length):
            widest[label] = max(widest.get(label, 0.0), end - start)
    return [
        label for label, seconds in widest.items() if label and text_inches(label) > seconds * second_inches
    ]


def draw_lanes(
    axes: Axes,
    lanes: Mapping[str, Sequence[str]],
    second_inches: float,
    length: float = math.inf,
    background: str = "background",
) -> None:
    """A row for each lane, the first on top: a box for each run of a label, pale and named so where it is empty."""
    looks = _looks(lanes)
    in_key = set(key_of(lanes, second_inches, length))
    for row, labels in enumerate(lanes.values()):
        low = len(lanes) - 1 - row
        for start, end, label in runs(labels, length):
            look = looks.get(label, {"facecolor": EMPTY, "edgecolor": "white"})
            axes.broken_barh([(start, end - start)], (low + 0.06, 0.88), linewidth=0.5, **look)
            text = label or background
            if label not in in_key and text_inches(text) <= (end - start) * second_inches:
                axes.text(
                    (start + end) / 2, low + 0.48, text, fontsize=FONT, ha="center", va="center_baseline",
                    color="white" if label else GREY, parse_math=False, zorder=6,
                    bbox={"facecolor": look["facecolor"], "edgecolor": "none", "pad": 1.0},
                )  # fmt: skip
    axes.set_ylim(0, len(lanes))
    names = [shorten(name, 22) for name in lanes]
    axes.set_yticks(np.arange(len(lanes))[::-1] + 0.48, names, fontsize=FONT)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)


def key_rows(
    lanes: Mapping[str, Sequence[str]], second_inches: float, inches: float, length: float = math.inf
) -> list[list[str]]:
    """The names of the key in rows of that width.

    Example:
        >>> from interlace.plots.label_lanes import key_rows
        >>> key_rows({"label": ["bark", "moo", "quack"]}, second_inches=0.1, inches=1.6)
        [['bark', 'moo'], ['quack']]
    """
    rows: list[list[str]] = [[]]
    used = 0.0
    for label in key_of(lanes, second_inches, length):
        wide = _entry_inches(label)
        if rows[-1] and used + wide > inches:
            rows.append([])
            used = 0.0
        rows[-1].append(label)
        used += wide
    left_out = sum(map(len, rows[MOST_ROWS:]))
    return [row for row in rows[:MOST_ROWS] if row] + ([[f"and {left_out} more"]] if left_out else [])


def draw_key(
    figure: Figure, lanes: Mapping[str, Sequence[str]], rows: Sequence[Sequence[str]], left: float, top: float
) -> None:
    """The key with its upper left corner at that place, in inches from the lower left one of the figure."""
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches()
    looks = _looks(lanes)
    for number, row in enumerate(rows):
        x, y = left, top - 0.2 * (number + 0.5)
        for label in row:
            box = Rectangle(
                (x / width, (y - 0.055) / height),
                0.22 / width,
                0.11 / height,
                transform=figure.transFigure,
                linewidth=0.5,
            )
            if label in looks:  # "and 9 more" has none
                box.set(**looks[label])
                figure.add_artist(box)
            figure.text(
                (x + 0.28) / width, y / height, shorten(label, LONGEST), fontsize=FONT, color=INK,
                va="center_baseline", parse_math=False,
            )  # fmt: skip
            x += _entry_inches(label)


def _entry_inches(label: str) -> float:
    return 0.36 + text_inches(shorten(label, LONGEST))


def _looks(lanes: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Fill and hatching of each label, in the order of time; the last lane, the answer, has the first fill."""
    lanes_from_last = reversed(list(lanes.values()))
    labels = dict.fromkeys(label for lane in lanes_from_last for label in lane if label)
    return {
        label: {
            "facecolor": FILLS[index % len(FILLS)],
            "hatch": HATCHES[index // len(FILLS) % len(HATCHES)],
            "edgecolor": "white",
        }
        for index, label in enumerate(labels)
    }
