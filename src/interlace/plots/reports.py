"""Pictures for reports: confusion matrix, training curves, comparison of accuracies.

Only matplotlib's figure objects are used, never `pyplot`: no window, no global state. Matplotlib is loaded
when the first picture is drawn. Every function writes a file and returns its path.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from interlace.files import whole_file
from interlace.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

COLORS = ("#2563a8", "#d97706", "#0f8a5f", "#b0305c", "#6b4fa0", "#5b6470")
INK, PALE = "#1f2933", "#d9dee4"
LETTER = 0.6  # width of a letter as a part of the font's size


def confusion_matrix(counts: Any, classes: Sequence[str], path: Path, *, title: str = "") -> Path:
    """Draw a confusion matrix: rows are true classes and sum to 100 %, numbers in the cells are clips.

    Made for 2 to 200 classes: the picture grows with their number, long names are cut in the middle. Beyond
    80 classes the cells carry color only. Rows of classes without clips are grey.

    Args:
        counts: (K, K) whole numbers, an array, tensor or nested list.
        classes: K names.
        path: the PNG to write.
        title: a line above the picture.

    Raises:
        ValueError: ``counts`` is not a square of that many classes.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots import confusion_matrix
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "confusion.png"
        >>> confusion_matrix([[3, 1], [0, 4]], ["left", "right"], path).name
        'confusion.png'
    """
    from matplotlib.colors import PowerNorm

    table = np.asarray(counts, dtype=np.int64)
    num_classes = len(classes)
    if table.shape != (num_classes, num_classes):
        raise ValueError(
            f"a confusion matrix of shape {table.shape} does not belong to {num_classes} classes"
        )
    cell, font = _cell_inches(num_classes), _font_points(num_classes)
    names = [shorten(f"{i} {name}" if num_classes > 30 else name) for i, name in enumerate(classes)]
    longest = max(len(name) for name in names)
    side = num_classes * cell
    label_inches = longest * LETTER * font / 72 + 0.5
    upright = longest * LETTER * font / 72 < 0.9 * cell
    bottom = 0.7 if upright else label_inches
    width, height = max(label_inches + side + 1.1, 4.2), bottom + side + 0.6
    figure = _figure(width, height)
    axes = figure.add_axes((label_inches / width, bottom / height, side / width, side / height))

    totals = table.sum(axis=1, keepdims=True)
    shares = np.ma.masked_invalid(np.where(totals > 0, table / np.maximum(totals, 1), np.nan))
    # Many classes: a rare confusion is a faint speck, so that small shares get more of the color scale.
    scale = PowerNorm(0.5 if num_classes > 30 else 1.0, vmin=0, vmax=1)
    axes.set_facecolor("#e5e5e5")  # shows through where a row has no clips
    image = axes.imshow(shares, cmap="Blues", norm=scale, interpolation="nearest", aspect="auto")
    _write_cells(axes, table, scale(shares), shares, cell, font)
    every = max(1, math.ceil(num_classes / 200))
    axes.set_xticks(
        range(0, num_classes, every),
        names[::every],
        rotation=0 if upright else 90,
        fontsize=font,
        parse_math=False,
    )
    axes.set_yticks(range(0, num_classes, every), names[::every], fontsize=font, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class", fontsize=9)
    axes.set_ylabel("true class", fontsize=9)
    axes.spines[:].set_color(PALE)
    figure.text(
        0.12 / width,
        1 - 0.2 / height,
        printable(title),
        ha="left",
        va="center",
        fontsize=10,
        parse_math=False,
    )
    bar_height = min(side, 2.5)
    bar = figure.add_axes(
        (
            (label_inches + side + 0.15) / width,
            (bottom + side - bar_height) / height,
            0.14 / width,
            bar_height / height,
        )
    )
    figure.colorbar(image, cax=bar, format=lambda share, _: f"{share:.0%}", ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.tick_params(labelsize=7, length=2)
    bar.spines[:].set_visible(False)
    return _save(figure, path)


def training_curves(
    runs: Mapping[str, Path], path: Path, *, columns: Sequence[str] = (), title: str = ""
) -> Path:
    r"""Draw the columns of one or several runs' metrics.csv against the epoch, a panel for each column.

    Args:
        runs: name of the run -> its metrics.csv. Empty cells are left out.
        path: the PNG to write.
        columns: which columns; by default every column with numbers but the epoch and the step.
        title: a line above the picture.

    Raises:
        ValueError: a file has neither an epoch nor a step, or no run has the columns.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots import training_curves
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.csv").write_text("epoch,loss,top1\n0,1.6,20\n1,1.1,55\n")
        >>> training_curves({"tin": folder / "metrics.csv"}, folder / "curves.png").name
        'curves.png'
    """
    curves = {name: read_curves(csv_path) for name, csv_path in runs.items()}
    found = dict.fromkeys(column for run in curves.values() for column in run)
    chosen = [column for column in (columns or found) if column in found]
    if not chosen:
        raise ValueError(f"no column to draw: asked for {list(columns)}, the files have {list(found)}")
    num_columns = min(len(chosen), 2 if len(chosen) <= 4 else 3)
    num_rows = math.ceil(len(chosen) / num_columns)
    figure = _figure(4.6 * num_columns, 2.9 * num_rows + (0.3 if title else 0), layout="constrained")
    if title:
        figure.suptitle(printable(title), fontsize=11, parse_math=False)
    for place, column in enumerate(chosen, start=1):
        axes = figure.add_subplot(num_rows, num_columns, place)
        for index, (name, run) in enumerate(curves.items()):
            if column in run:
                epochs, values = zip(*run[column], strict=True)
                marker = "o" if len(values) < 3 else ""
                axes.plot(
                    epochs,
                    values,
                    label=shorten(name),
                    color=COLORS[index % len(COLORS)],
                    linewidth=1.5,
                    marker=marker,
                )
        axes.set_title(printable(column), fontsize=10, parse_math=False)
        axes.grid(color=PALE, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if len(curves) > 1:
            _as_written(axes.legend(fontsize=8, frameon=False))
        if place > len(chosen) - num_columns:
            axes.set_xlabel("epoch", fontsize=9)
    return _save(figure, path)


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    r"""The columns of a metrics.csv as (epoch, value) points; without an epoch column the step stands for it.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots import read_curves
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "metrics.csv"
        >>> _ = path.write_text("epoch,step,loss,top1\n0,5,1.5,\n0,9,,40\n")
        >>> read_curves(path)
        {'loss': [(0.0, 1.5)], 'top1': [(0.0, 40.0)]}
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    axis = next((name for name in ("epoch", "step") if rows and name in rows[0]), None)
    if axis is None:
        raise ValueError(
            f"{path}: has no epoch or step column, or no rows; give a metrics.csv that training wrote"
        )
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for column, cell in row.items():
            if column not in ("epoch", "step") and _is_number(cell) and _is_number(row[axis]):
                curves.setdefault(column, []).append((float(row[axis]), float(cell)))
    return curves


def accuracy_bars(
    labels: Sequence[str],
    values: Sequence[float],
    path: Path,
    *,
    title: str = "",
    chance: float | int | None = None,
) -> Path:
    """Draw one bar for each network, with its accuracy in percent at the end.

    Args:
        labels: names, the first on top.
        values: percent.
        path: the PNG to write.
        title: a line above the picture.
        chance: draws a dashed line at this percentage: what guessing, or blindness to order, reaches.

    Raises:
        ValueError: not as many labels as values.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots import accuracy_bars
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "accuracy.png"
        >>> accuracy_bars(["TSN", "TIN"], [48.0, 96.5], path, chance=50).name
        'accuracy.png'
    """
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels do not belong to {len(values)} values")
    names = [shorten(label) for label in labels]
    figure = _figure(6.5, 0.9 + 0.45 * len(labels) + (0.3 if title else 0), layout="constrained")
    axes = figure.add_subplot()
    colors = [COLORS[index % len(COLORS)] for index in range(len(names))]
    bars = axes.barh(range(len(names)), values, color=colors, height=0.62)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.bar_label(
        bars, [f"{value:.1f}" for value in values], padding=4, fontsize=9, color=INK, bbox=box, zorder=5
    )
    axes.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 109)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("accuracy (%)", fontsize=9)
    axes.set_title(printable(title), fontsize=11, loc="left", parse_math=False)
    axes.tick_params(labelsize=9, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if chance is not None:
        axes.axvline(chance, color=INK, linewidth=1, linestyle="--", zorder=3)
    return _save(figure, path)


def shorten(name: str, length: int = 34) -> str:
    """A name as it may be drawn; the middle of a long one is cut out, between words where that leaves enough of it.

    Example:
        >>> from interlace.plots import shorten
        >>> shorten("pushing something from left to right", 20)
        'pushing … to right'
    """
    name = printable(name)
    if len(name) <= length:
        return name
    room = (length - 3) // 2
    head, tail = name[: room + 1], name[-room - 1 :]
    head = head.rsplit(" ", 1)[0] if " " in head[room // 2 :] else head[:-1]
    tail = tail.split(" ", 1)[1] if " " in tail[: room // 2 + 1] else tail[1:]
    return f"{head} … {tail}"


def _as_written(legend: Legend) -> None:
    """A dollar in a name begins no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def _cell_inches(num_classes: int) -> float:
    limits = ((12, 0.62), (30, 0.4), (80, 0.24), (math.inf, 0.135))
    cell = next(inches for limit, inches in limits if num_classes <= limit)
    return min(cell, 27 / num_classes)  # beyond 200 classes the picture stops growing


def _font_points(num_classes: int) -> float:
    return next(
        points for limit, points in ((12, 9.0), (30, 8.0), (80, 7.0), (math.inf, 6.0)) if num_classes <= limit
    )


def _write_cells(
    axes: Axes, table: np.ndarray, darkness: np.ndarray, shares: np.ndarray, cell: float, font: float
) -> None:
    num_classes = len(table)
    if num_classes > 80:
        return
    digits = max(1, len(str(table.max())))
    size = min(font - 1, 0.85 * 72 * cell / (LETTER * digits))
    for row, column in zip(*table.nonzero(), strict=True):
        text = str(table[row, column])
        if num_classes <= 12:
            text += f"\n{shares[row, column]:.0%}"
        color = "white" if darkness[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color, linespacing=1.05)


def _figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    path = Path(path)
    encoded = io.BytesIO()  # straight to a full disk Pillow writes a part, and says nothing
    figure.savefig(encoded, format="png", facecolor="white")
    with whole_file(path) as beside:
        beside.write_bytes(encoded.getvalue())
    return path


def _is_number(cell: str | None) -> bool:
    try:
        return cell is not None and math.isfinite(float(cell))
    except ValueError:
        return False
