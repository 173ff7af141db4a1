"""Accuracy against multiply-adds; the area of a disc is the number of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlace.plots.labels import write_labels
from interlace.plots.reports import COLORS, INK, PALE, _as_written, _figure, _save
from interlace.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AREA = 9.0
"""Square points for a million parameters."""
SIZES = (25, 100, 300)
"""The discs of the legend, in millions."""
FONT = 8.0
WIDTH_INCHES, PANEL_INCHES = 10.0, 6.4


@dataclass(frozen=True)
class Disc:
    """One network."""

    label: str
    family: str
    """Networks of one family have one color."""
    gmac: float
    """Multiply-adds of a video, in 10^9."""
    accuracy: float
    """Percent."""
    parameters_m: float
    """In 10^6."""
    hollow: bool = False
    """Drawn as a ring: a second statement about a network that is there already."""


@dataclass(frozen=True)
class Panel:
    """Networks whose accuracies may be compared: of one data set and by one protocol."""

    title: str
    discs: Sequence[Disc]


def accuracy_against_cost(panels: Sequence[Panel], path: Path) -> Path:
    """Draw a panel below the other, multiply-adds on a logarithmic axis.

    Args:
        panels: each with a title that says whose accuracies these are.
        path: the PNG to write.

    Raises:
        ValueError: nothing to draw, or a network without multiply-adds.

    Source: TIN (Shao et al., AAAI 2020), figure 4.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots import Disc, Panel, accuracy_against_cost
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "cost.png"
        >>> accuracy_against_cost([Panel("mine", [Disc("TIN, 8", "TIN", 32.7, 45.0, 23.9)])], path).name
        'cost.png'
    """
    discs = [disc for panel in panels for disc in panel.discs]
    if not panels or not all(panel.discs for panel in panels):
        raise ValueError(
            f"{len(panels)} panels with {len(discs)} discs: there is nothing to draw in one of them"
        )
    for disc in discs:
        if not (disc.gmac > 0 and disc.parameters_m > 0 and math.isfinite(disc.accuracy)):
            raise ValueError(f"{disc} has no place on a logarithmic axis")
    families = sorted({disc.family for disc in discs})
    colors = {family: COLORS[index % len(COLORS)] for index, family in enumerate(families)}
    height = PANEL_INCHES * len(panels)
    figure = _figure(WIDTH_INCHES, height)
    for place, panel in enumerate(panels, start=1):
        bottom = 1 - (PANEL_INCHES * place - 0.65) / height
        axes = figure.add_axes((0.065, bottom, 0.76, (PANEL_INCHES - 1.1) / height))
        _draw_discs(axes, panel, colors)
        _draw_legends(axes, {disc.family: colors[disc.family] for disc in panel.discs}, panel.discs)
        write_labels(
            axes,
            [disc.label for disc in panel.discs],
            [(disc.gmac, disc.accuracy) for disc in panel.discs],
            across=[math.sqrt(AREA * disc.parameters_m) for disc in panel.discs],
            colors=[colors[disc.family] for disc in panel.discs],
            font_size=FONT,
            ink=INK,
        )
    return _save(figure, path)


def _draw_discs(axes: Axes, panel: Panel, colors: dict[str, str]) -> None:
    from matplotlib.colors import to_rgba

    discs = sorted(panel.discs, key=lambda disc: -disc.parameters_m)  # small ones on top
    axes.scatter(
        [disc.gmac for disc in discs],
        [disc.accuracy for disc in discs],
        s=[AREA * disc.parameters_m for disc in discs],
        facecolors=["none" if disc.hollow else to_rgba(colors[disc.family], 0.5) for disc in discs],
        edgecolors=[colors[disc.family] if disc.hollow else "white" for disc in discs],
        linewidths=1.0,
        zorder=3,
    )
    axes.set_xscale("log")
    low, high = min(disc.gmac for disc in discs), max(disc.gmac for disc in discs)
    axes.set_xlim(low / 1.9, high * 2.4)
    least, most = min(disc.accuracy for disc in discs), max(disc.accuracy for disc in discs)
    room = max(0.14 * (most - least), 2.0)
    axes.set_ylim(least - room, most + room)
    axes.set_xticks([tick for tick in _TICKS if low / 1.9 <= tick <= high * 2.4])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(_no_ticks())
    axes.set_xlabel("multiply-adds of a video, $10^9$ (all its clips and members)", fontsize=9)
    axes.set_ylabel("top-1 accuracy (%)", fontsize=9)
    axes.set_title(printable(panel.title), fontsize=9, loc="left", parse_math=False)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


_TICKS = [digit * 10.0**power for power in range(-4, 6) for digit in (1, 2, 5)]


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _draw_legends(axes: Axes, colors: dict[str, str], discs: Sequence[Disc]) -> None:
    """Families by color; sizes as discs that stand on one line, one within the other."""
    from matplotlib.lines import Line2D

    families = [
        Line2D([], [], marker="o", linestyle="", markersize=9, color=colors[name]) for name in sorted(colors)
    ]
    names = [printable(name) for name in sorted(colors)]
    legend = axes.legend(
        families, names, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False
    )
    _as_written(legend)
    largest = max(disc.parameters_m for disc in discs)
    sizes = [size for size in SIZES if size <= 1.3 * largest] or SIZES[:1]
    point = axes.figure.dpi / 72
    frame = axes.get_window_extent()
    widest = math.sqrt(AREA * sizes[-1]) * point
    left, ground = frame.x1 + 14 * point, frame.y0 + 6 * point
    for size in reversed(sizes):
        radius = math.sqrt(AREA * size) / 2
        axes.plot(
            [left + widest / 2], [ground + radius * point],
            marker="o", markersize=2 * radius, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.8,
            transform=None, clip_on=False,
        )  # fmt: skip
        top = ground + 2 * radius * point
        axes.text(
            left + widest + 4 * point, top, f"{size} M", fontsize=7, va="center", transform=None, color=INK
        )
    title = ground + widest + 12 * point
    axes.text(left, title, "area: parameters", fontsize=8, transform=None, color=INK)
