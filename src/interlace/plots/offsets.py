"""Figure 5 of the TIN paper: learned offsets over the depth of the network, learned weights over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from interlace.plots.offset_tally import OffsetSeries
from interlace.plots.reports import COLORS, INK, PALE, _figure, _save, shorten
from interlace.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = ("offsets added up over depth", "offset of each layer", "weight, mean over the layers")
Y_LABELS = ("frames", "frames", "factor")


def offset_figure(series: Sequence[OffsetSeries], path: Path, *, title: str = "") -> Path:
    """Draw mean offsets and weights, a column for each network: added up over depth, by layer, over time.

    The first and last row are the figure's (a, b) and (c, d); the row between has what is added up, with the
    spread over the clips as a band. Mirrored groups are dashed; their weights are those of their originals.

    Args:
        series: the networks, e.g. of 8 and 16 frames.
        path: the PNG to write.
        title: a line above the picture.

    Raises:
        ValueError: there is nothing to draw.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020, "Visualization of learned offsets and weights".

    Example:
        >>> import pathlib, tempfile, torch
        >>> from interlace.plots import OffsetTally, offset_figure, series_of
        >>> tally = OffsetTally()
        >>> offset = torch.tensor([[0.5, 1.0, -0.5, -1.0]] * 3)
        >>> tally.add({f"layer1.{i}.conv1.temporal": (offset, torch.ones(3, 8, 4)) for i in range(2)})
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "offsets.png"
        >>> offset_figure(series_of(tally, "tin"), path).name
        'offsets.png'
    """
    if not any(one.layers for one in series):
        raise ValueError("there are no offsets to draw: no network has a TIN module")
    columns = len(series)
    figure = _figure(max(5.2, 4.4 * columns), 7.6 + (0.3 if title else 0), layout="constrained")
    if title:
        figure.suptitle(printable(title), fontsize=11, parse_math=False)
    axes = figure.subplots(3, columns, squeeze=False, sharey="row")
    for column, one in enumerate(series):
        draw = (_draw_cumulative, _draw_layers, _draw_weights)
        for row, name in enumerate(ROWS):
            panel = axes[row][column]
            draw[row](panel, one)
            letter = chr(ord("a") + row * columns + column)
            panel.set_title(f"({letter}) {name}", fontsize=9, loc="left")
            panel.set_ylabel(Y_LABELS[row] if column == 0 else "", fontsize=9)
            panel.grid(color=PALE, linewidth=0.6, axis="y")
            panel.spines[["top", "right"]].set_visible(False)
            panel.tick_params(labelsize=8)
        heading = f"{shorten(one.title, 56)}\n({chr(ord('a') + column)}) {ROWS[0]}"
        axes[0][column].set_title(heading, fontsize=9, loc="left", parse_math=False)
    handles, labels = max(
        (panel.get_legend_handles_labels() for panel in axes[0]), key=lambda told: len(told[1])
    )
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    return _save(figure, path)


def _draw_cumulative(axes: Axes, series: OffsetSeries) -> None:
    _draw_over_depth(axes, series, series.cumulative(), None)
    axes.set_xlabel("")


def _draw_layers(axes: Axes, series: OffsetSeries) -> None:
    mean = np.stack([layer.offset for layer in series.layers])
    _draw_over_depth(axes, series, mean, np.stack([layer.offset_spread for layer in series.layers]))
    axes.set_xlabel("layer, first to last; stages are shaded", fontsize=9)


def _draw_over_depth(axes: Axes, series: OffsetSeries, values: np.ndarray, spread: np.ndarray | None) -> None:
    """A line for each group, on the stages of the network."""
    depth = np.arange(1, len(values) + 1)
    end = 0.5
    for number, (_, stage) in enumerate(groupby(series.layers, key=lambda layer: layer.stage)):
        start, end = end, end + len(list(stage))
        if number % 2:
            axes.axvspan(start, end, color=PALE, alpha=0.35, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.8)
    learned = series.layers[0].num_learned
    for group in range(values.shape[1]):
        mirrored = group >= learned
        label = f"group {group % learned + 1}{', mirrored' if mirrored else ''}"
        color, line = COLORS[group % learned % len(COLORS)], values[:, group]
        style = "--" if mirrored else "-"
        axes.plot(
            depth, line, linestyle=style, color=color, linewidth=1.5, marker="o", markersize=3, label=label
        )
        if spread is not None:
            low, high = line - spread[:, group], line + spread[:, group]
            axes.fill_between(depth, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xlim(0.5, len(values) + 0.5)
    axes.set_xticks(depth[:: max(1, len(depth) // 8)])


def _draw_weights(axes: Axes, series: OffsetSeries) -> None:
    """A thick line for each learned group over all layers, and a pale one for each of the stages."""
    learned = series.layers[0].num_learned
    weights = np.stack([layer.weight for layer in series.layers])  # (L, T, G)
    frame = np.arange(1, weights.shape[1] + 1)
    axes.axhline(1, color=INK, linewidth=0.8)
    stages = [
        [index for index, _ in members]
        for _, members in groupby(enumerate(series.layers), key=lambda pair: pair[1].stage)
    ]
    for group in range(learned):
        color = COLORS[group % len(COLORS)]
        for stage in stages:
            axes.plot(frame, weights[stage, :, group].mean(axis=0), color=color, linewidth=0.8, alpha=0.35)
        axes.plot(
            frame, weights[:, :, group].mean(axis=0), color=color, linewidth=2, marker="o", markersize=3
        )
    axes.set_xticks(frame[:: max(1, len(frame) // 8)])
    axes.set_xlabel("frame; pale lines are the stages", fontsize=9)
