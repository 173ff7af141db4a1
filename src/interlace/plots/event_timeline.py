"""One video as a picture: its frames and its sound, what was made of each second, and the event that was found."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from interlace.plots.label_lanes import draw_key, draw_lanes, key_rows, runs, text_inches
from interlace.plots.reports import COLORS, INK, PALE, _figure, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, PANEL, RIGHT = 1.45, 8.6, 2.35
"""Inches: the names of the rows, the time line, the legends."""
SOUND_INCHES, CURVES_INCHES, LANE_INCHES, GAP, WIDE_GAP = 0.85, 1.75, 0.3, 0.1, 0.32
FONT = 8.0
HEARD, SEEN, EVENT, QUERY = COLORS[1], COLORS[0], COLORS[2], COLORS[4]
TICKS_KHZ = (0.25, 1.0, 4.0)
MANY_SECONDS = 100
"""From here on lines are thin."""
MOST_EDGES = 20
"""Runs of which each gets its edges drawn; more would hide the frames."""
QUIET_GREY, GREY = "#f3f5f7", "#5b6470"

Row = Literal["picture", "sound"]


@dataclass(frozen=True, eq=False)
class EventTimeline:
    """What the picture shows: N values a row, second k from k to k + 1."""

    title: str
    num_seconds: int
    lanes: Mapping[str, Sequence[str]]
    """Rows of labels, one label a second, empty where there is no event; the last row is the answer."""
    frames: np.ndarray
    """uint8 (M, H, W, 3), spread evenly over the length; how many are needed tells :func:`num_frames_of`."""
    sound: np.ndarray | None = None
    """Loudness of frequency bands (bands, columns), low bands first, spread evenly over the N seconds."""
    sound_hz: np.ndarray | None = None
    """Middle of each band (bands,)."""
    has_sound: Sequence[bool] = ()
    """False in seconds for which the file has no sound."""
    heard: np.ndarray | None = None
    """p^A (N,)."""
    seen: np.ndarray | None = None
    """p^V (N,)."""
    heard_label: str = "$p^A$: sound fits the picture"
    seen_label: str = "$p^V$: picture fits the sound"
    relevance: np.ndarray | None = None
    """p (N,)."""
    score: np.ndarray | None = None
    """Numbers that are no probabilities (N,), drawn instead of those, on an axis of their own."""
    rule: str = "0.5 or more: event\nbelow: background"
    """How labels come from probabilities."""
    searched: Row | None = None
    """The row that the answer is of; the other one is that of the first lane, the query. None: it is of both."""
    end_seconds: float | None = None
    """Where the video ends, if that is before the end of the last second."""
    background: str = "background"
    """What stands where a lane is empty."""
    notes: Sequence[str] = ()

    @property
    def length(self) -> float:
        """Seconds that are drawn: of the last one only what there is."""
        whole = float(self.num_seconds)
        return whole if self.end_seconds is None or self.end_seconds <= 0 else min(whole, self.end_seconds)


def num_frames_of(num_seconds: int, aspect: float) -> int:
    """How many frames of that width by height fill the strip: whole numbers a second, where that is possible.

    Example:
        >>> from interlace.plots.event_timeline import num_frames_of
        >>> [num_frames_of(seconds, 16 / 9) for seconds in (1, 2, 10, 300)]
        [6, 6, 10, 6]
    """
    fits = max(1.0, min(40.0, PANEL / (0.75 * aspect)))
    if num_seconds <= 2.2 * fits:
        return num_seconds * max(1, round(fits / num_seconds))
    return max(1, round(fits))


def draw_event_timeline(timeline: EventTimeline, path: Path) -> Path:
    """Draw frames, sound, probabilities and labels above one axis of time.

    Args:
        timeline: what to draw.
        path: the PNG to write.

    Raises:
        ValueError: a row has not one value a second, or there are no frames.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from interlace.plots.event_timeline import EventTimeline, draw_event_timeline
        >>> frames = np.zeros((4, 6, 8, 3), np.uint8)
        >>> timeline = EventTimeline("a.mp4: bark", 2, {"label": ["", "bark"]}, frames, relevance=np.array([0.1, 0.9]))
        >>> draw_event_timeline(timeline, pathlib.Path(tempfile.mkdtemp()) / "a.png").name
        'a.png'
    """
    _check(timeline)
    second = PANEL / timeline.length
    key = key_rows(timeline.lanes, second, PANEL, timeline.length)
    lines = [line for note in timeline.notes for line in textwrap.wrap(f"Note: {note}", 150)]
    strip = _strip_inches(timeline.frames)
    lanes = len(timeline.lanes) * LANE_INCHES
    heights = {"strip": strip, "sound": SOUND_INCHES, "curves": CURVES_INCHES, "lanes": lanes}
    title = textwrap.wrap(timeline.title, 100, max_lines=3, placeholder=" ...")
    top, foot = 0.46 + 0.2 * len(title), 0.62 + 0.2 * len(key) + 0.16 * len(lines)
    gaps = dict.fromkeys(heights, GAP) | ({"strip": WIDE_GAP} if timeline.searched else {})
    height = top + sum(heights.values()) + sum(gaps.values()) - GAP + foot
    figure = _figure(LEFT + PANEL + RIGHT, height)
    rows = _rows(figure, heights, gaps, height, top)
    _draw_strip(rows["strip"], timeline)
    _draw_sound(rows["sound"], timeline)
    _draw_curves(rows["curves"], timeline)
    draw_lanes(rows["lanes"], timeline.lanes, second, timeline.length, timeline.background)
    _mark_spans(rows, timeline)
    for name, axes in rows.items():
        axes.set_xlim(0, timeline.length)
        axes.tick_params(labelsize=FONT)
        axes.tick_params("x", length=3, labelbottom=name == "lanes", bottom=name == "lanes")
    _mark_time(rows["lanes"], timeline)
    figure.text(
        LEFT / (LEFT + PANEL + RIGHT), 1 - 0.12 / height, "\n".join(title),
        va="top", fontsize=11, color=INK, parse_math=False,
    )  # fmt: skip
    draw_key(figure, timeline.lanes, key, LEFT, foot - 0.52)
    _write_notes(figure, lines)
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; it is no reason to trouble anybody.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        return _save(figure, path)


def _check(timeline: EventTimeline) -> None:
    rows: dict[str, Any] = {**timeline.lanes}
    rows |= {"heard": timeline.heard, "seen": timeline.seen, "relevance": timeline.relevance}
    rows["score"] = timeline.score
    rows["has_sound"] = timeline.has_sound or None
    for name, row in rows.items():
        if row is not None and len(row) != timeline.num_seconds:
            raise ValueError(f"{name!r} has {len(row)} values for a video of {timeline.num_seconds} seconds")
    if not timeline.lanes or timeline.num_seconds < 1 or not len(timeline.frames):
        raise ValueError(
            f"there is nothing to draw: {timeline.num_seconds} seconds, {len(timeline.lanes)} rows of labels, "
            f"{len(timeline.frames)} frames"
        )


def _strip_inches(frames: np.ndarray) -> float:
    return float(np.clip(PANEL / len(frames) * frames.shape[1] / frames.shape[2], 0.4, 1.3))


def _rows(
    figure: Figure, heights: Mapping[str, float], gaps: Mapping[str, float], height: float, top: float
) -> dict[str, Axes]:
    """Axes one below the other, placed in inches: nothing can grow into its neighbor."""
    width = LEFT + PANEL + RIGHT
    edge, rows = height - top, {}
    for name, inches in heights.items():
        edge -= inches
        rows[name] = figure.add_axes((LEFT / width, edge / height, PANEL / width, inches / height))
        edge -= gaps[name]
    return rows


def _draw_strip(axes: Axes, timeline: EventTimeline) -> None:
    """Each frame in the middle of the time that it stands for, cut to the room that it has."""
    count, (high, wide) = len(timeline.frames), timeline.frames.shape[1:3]
    room = PANEL / count / _strip_inches(timeline.frames)
    cut_high, cut_wide = min(high, max(1, round(wide / room))), min(wide, max(1, round(high * room)))
    top, left = (high - cut_high) // 2, (wide - cut_wide) // 2
    step = timeline.length / count
    for i, frame in enumerate(timeline.frames):
        cut = frame[top : top + cut_high, left : left + cut_wide]
        axes.imshow(cut, extent=(i * step, (i + 1) * step, 0, 1), aspect="auto", interpolation="antialiased")
        axes.axvline(i * step, color="white", linewidth=1)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    _name(axes, "picture")
    axes.spines[:].set_color(PALE)


def _draw_sound(axes: Axes, timeline: EventTimeline) -> None:
    axes.set_facecolor(QUIET_GREY)
    axes.set_yticks([])
    is_silence = timeline.sound is not None and float(np.ptp(timeline.sound)) == 0
    is_drawn = timeline.sound is not None and not is_silence
    _name(axes, "sound,\nfrequency (kHz)" if is_drawn else "sound")
    if timeline.sound is not None and is_drawn:
        bands = len(timeline.sound)
        axes.imshow(
            timeline.sound,
            extent=(0, timeline.num_seconds, 0, bands), origin="lower", aspect="auto", cmap="Greys",
            interpolation="antialiased",
        )  # fmt: skip
        if timeline.sound_hz is not None:
            places = np.interp([1000 * tick for tick in TICKS_KHZ], timeline.sound_hz, np.arange(bands) + 0.5)
            axes.set_yticks(places, [f"{tick:g}" for tick in TICKS_KHZ])
        _beside(axes, 0.5, "darker is louder")
    else:
        axes.set_ylim(0, 1)
    for start, end, there in runs(timeline.has_sound or [True] * timeline.num_seconds, timeline.length):
        if not there:
            axes.axvspan(start, end, facecolor="white", edgecolor=GREY, hatch="////", linewidth=0)
        if (is_silence or not there) and (end - start) * PANEL / timeline.length > 0.9:
            box = {"facecolor": QUIET_GREY if there else "white", "edgecolor": "none", "pad": 2.0}
            axes.text(
                (start + end) / 2, sum(axes.get_ylim()) / 2, "silence" if there else "no sound",
                ha="center", va="center", fontsize=FONT, color=INK, bbox=box, zorder=6,
            )  # fmt: skip
    axes.spines[:].set_color(PALE)


def _draw_curves(axes: Axes, timeline: EventTimeline) -> None:
    """Steps, as a value is of a whole second; other dashes and widths too, for who does not see the colors."""
    if timeline.score is not None:
        _draw_score(axes, timeline.score)
        return
    edges = np.arange(timeline.num_seconds + 1)
    thin = 1.0 if timeline.num_seconds <= MANY_SECONDS else 0.5
    curves: tuple[tuple[np.ndarray | None, str, dict[str, Any]], ...] = (
        (timeline.heard, timeline.heard_label, {"color": HEARD, "linewidth": 1.7, "linestyle": (0, (5, 2))}),
        (timeline.seen, timeline.seen_label, {"color": SEEN, "linewidth": 1.7, "linestyle": (0, (1, 1))}),
        (timeline.relevance, _relevance_label(timeline), {"color": INK, "linewidth": 2.8, "zorder": 3}),
    )
    for values, label, style in curves:
        if values is not None:
            style["linewidth"] *= thin
            axes.stairs(values, edges, baseline=None, label=label, **{"zorder": 4, **style})
    axes.axhline(0.5, color=GREY, linewidth=0.9, zorder=2)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.grid(color=PALE, linewidth=0.6, axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _name(axes, "probability")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            loc="upper left",
            borderaxespad=0.2,
            bbox_to_anchor=(1.01, 1.04),
            fontsize=FONT,
            frameon=False,
            handlelength=2.6,
        )
        _beside(axes, 0.22, timeline.rule)
    else:
        axes.text(timeline.length / 2, 0.25, "this network gives no relevance", fontsize=FONT, ha="center")


def _draw_score(axes: Axes, score: np.ndarray) -> None:
    axes.stairs(score, np.arange(len(score) + 1), baseline=None, color=INK, linewidth=2.4, zorder=4)
    low, high = float(score.min()), float(score.max())
    room = 0.08 * max(high - low, 1e-3)
    axes.set_ylim(low - room, high + room)
    ticks = [low, high] if high > low else [low]
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.grid(color=PALE, linewidth=0.6, axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _name(axes, "score")
    _beside(axes, 0.22, "higher fits better\n(no probability)")


def _relevance_label(timeline: EventTimeline) -> str:
    if timeline.relevance is None or timeline.heard is None or timeline.seen is None:
        return "$p$: relevance"
    mean = (timeline.heard + timeline.seen) / 2
    return "$p$: relevance" + (", their mean" if np.allclose(timeline.relevance, mean, atol=1e-4) else "")


def _mark_time(axes: Axes, timeline: EventTimeline) -> None:
    """Whole seconds only, at most 21 of them, and a hair line between the boxes of neighboring seconds."""
    num_seconds = timeline.num_seconds
    step = next(
        step
        for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, num_seconds)
        if num_seconds <= 20 * step
    )
    ticks = [float(tick) for tick in range(0, num_seconds + 1, step) if tick <= timeline.length]
    ticks += [timeline.length] if len(ticks) == 1 else []
    axes.set_xticks(ticks, [f"{round(tick, 2):g}" for tick in ticks])
    axes.set_xlabel("time from the start of the video (s)", fontsize=9, color=INK)
    if num_seconds <= 60:
        for second in range(1, num_seconds):
            axes.axvline(second, color="white", linewidth=0.6, alpha=0.6)


def _mark_spans(rows: Mapping[str, Axes], timeline: EventTimeline) -> None:
    """Where the answer is an event, and where a query is, each on the rows that it is of."""
    lanes = list(timeline.lanes.values())
    if timeline.searched is None:
        _mark(rows, ("strip", "sound", "curves"), lanes[-1], timeline, EVENT)
    else:
        searched, given = ("strip", "sound") if timeline.searched == "picture" else ("sound", "strip")
        _mark(rows, (given,), lanes[0], timeline, QUERY)
        _mark(rows, (searched, "curves"), lanes[-1], timeline, EVENT)
    for start, end, label in runs(lanes[-1], timeline.length):
        if label:
            rows["curves"].axvspan(start, end, color=EVENT, alpha=0.13, linewidth=0, zorder=1)


def _mark(
    rows: Mapping[str, Axes], names: Sequence[str], labels: Sequence[str], timeline: EventTimeline, color: str
) -> None:
    """For each stretch a bar with its seconds above the first of the named rows, and edges through all of them."""
    found = [run for run in runs(labels, timeline.length) if run[2]]
    first = rows[names[0]]
    across = first.get_xaxis_transform()  # seconds; upwards in heights of the row
    above = 1 + 0.07 / (_strip_inches(timeline.frames) if names[0] == "strip" else SOUND_INCHES)
    for start, end, _ in found:
        first.plot(
            [start, end], [above] * 2, transform=across, scalex=False, scaley=False, color=color, linewidth=4,
            solid_capstyle="butt", clip_on=False,
        )  # fmt: skip
        if len(found) <= MOST_EDGES:
            for name in names:
                for edge in (start, end):
                    rows[name].axvline(edge, color=color, linewidth=1.6, zorder=7, clip_on=False)
        text = f"{start:g} to {round(end, 2):g} s"
        if text_inches(text) <= (end - start) * PANEL / timeline.length:
            first.annotate(
                text, ((start + end) / 2, above), (0, 3), xycoords=across, textcoords="offset points", ha="center",
                va="bottom", fontsize=FONT, color=color, fontweight="bold", annotation_clip=False,
            )  # fmt: skip


def _write_notes(figure: Figure, lines: Sequence[str]) -> None:
    """What was odd about the file, at the foot."""
    width, height = figure.get_size_inches()
    for number, line in enumerate(reversed(lines)):
        y = (0.12 + 0.16 * number) / height
        figure.text(LEFT / width, y, line, fontsize=FONT, color=GREY, va="center", parse_math=False)


def _name(axes: Axes, name: str) -> None:
    """The name of a row, left of it and upright to read."""
    axes.text(
        -0.38 / PANEL, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize=FONT, color=INK
    )


def _beside(axes: Axes, y: float, text: str) -> None:
    """A word of explanation, right of a row."""
    axes.text(1 + 0.15 / PANEL, y, text, transform=axes.transAxes, va="center", fontsize=FONT, color=GREY)
