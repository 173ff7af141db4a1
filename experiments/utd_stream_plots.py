"""The two pictures of `utd_stream.py`: one stream, and the moments of recognition in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from interlace.files import whole_file

NAMES = {
    "tsn": "TSN, windows",
    "tsm": "TSM, windows",
    "tin": "TIN, windows",
    "tsm_causal": "TSM, causal",
    "tin_causal": "TIN, causal",
    "tsn_by_frames": "TSN, by frames",
}
COLORS = {"tsn": "#5b6470", "tsm": "#d97706", "tin": "#2563a8"}
"""Of the networks that see windows; those that see frames have the same, and another line."""
GRAY = "#5b6470"

Span = tuple[str, float, float]
"""Label, begin and end of an action, in seconds."""


def draw_stream(
    spans: Sequence[Span],
    true: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
    found: Mapping[str, Sequence[float | None]],
    file: Path,
) -> None:
    """The probability of the true label over time, a row for each network.

    Args:
        spans: the actions.
        true: network to action to (time, probability) pairs.
        found: network to the moment of each action.
        file: the PNG.
    """
    figure = Figure(figsize=(11, 1.1 + 1.15 * len(true)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(len(true), 1, sharex=True, squeeze=False)[:, 0]
    for place, (method, parts) in zip(places, true.items(), strict=True):
        _draw_row(place, method, spans, parts, found[method])
    for label, begin, end in spans:
        name = label.partition("_")[2].replace("_", " ")
        places[0].text((begin + end) / 2, 1.06, name, ha="center", va="bottom", fontsize=8)
    places[-1].set_xlabel("seconds of the stream")
    places[-1].set_xlim(0, spans[-1][2])
    figure.suptitle(
        "Probability of the action that goes on, smoothed; shaded where it is recognized for good",
        fontsize=10,
    )
    _save(figure, file)


def _draw_row(
    place: Axes,
    method: str,
    spans: Sequence[Span],
    parts: Sequence[Sequence[tuple[float, float]]],
    found: Sequence[float | None],
) -> None:
    color = color_of(method)
    for (_, begin, end), points, seconds in zip(spans, parts, found, strict=True):
        place.plot(
            [time for time, _ in points], [p for _, p in points], color=color, marker="o", markersize=2.5
        )
        place.axvline(begin, color=GRAY, linewidth=0.8)
        if seconds is not None:
            place.axvspan(begin + seconds, end, color=color, alpha=0.15, linewidth=0)
    place.set_ylim(0, 1.02)
    place.set_yticks([0, 0.5, 1], ["0", "", "1"])
    place.set_ylabel(NAMES[method], fontsize=8)
    place.grid(color="#d9dee4", linewidth=0.6)


def draw_moments(shares: Mapping[str, Sequence[float]], num_actions: int, file: Path) -> None:
    """How many actions are recognized by when; a line for each network.

    Args:
        shares: network to the moments, as shares of the actions' lengths, of those that it recognized.
        num_actions: with those that it did not.
        file: the PNG.
    """
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    place = figure.subplots()
    for method, moments in shares.items():
        steps = sorted(moments)
        percent = [100 * count / num_actions for count in range(len(steps) + 1)]
        place.step(
            [0.0, *steps, 1.0],
            [*percent, percent[-1]],
            where="post",
            color=color_of(method),
            linestyle="--" if method in COLORS else "-",
            label=f"{NAMES[method]}: {percent[-1]:.0f}%",
        )
    place.set_xlim(0, 1)
    place.set_ylim(0, 100)
    place.set_xlabel("share of the action that has passed")
    place.set_ylabel("% of actions recognized for good")
    place.grid(color="#d9dee4", linewidth=0.6)
    place.legend(fontsize=8, frameon=False, loc="upper left")
    figure.suptitle(f"Moments of recognition of {num_actions} actions in streams", fontsize=10)
    _save(figure, file)


def color_of(method: str) -> str:
    """A network's, whether it sees frames or windows."""
    return COLORS[method.partition("_")[0]]


def _save(figure: Figure, file: Path) -> None:
    with whole_file(file) as beside:
        figure.savefig(beside, format="png", facecolor="white")
