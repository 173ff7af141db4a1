"""Long videos as windows by timestamps: which windows, which frames of each, one pass over the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.data.sampling import Sampling
from interlace.data.video import VideoReader
from interlace.types import Prediction

DEFAULT_WINDOW_SECONDS = 4.0
# Full-size frames held at a time while they are made small: 8 of 4K are 200 MB.
FRAMES_PER_READ = 8
# Seconds; keeps 30 * 0.1 from being another time than 3.
ROUNDING = 1e-6


def windows(duration: float, window: float, hop: float) -> list[tuple[float, float]]:
    """(start, end) of each window in seconds; the last one ends with the video.

    ::

        |--------- duration 9 ---------|     window 4, hop 2
        0------4  2------6  4------8  5------9

    Raises:
        ValueError: the window or the hop is not above zero.

    Example:
        >>> from interlace.inference.timeline import windows
        >>> windows(9.0, 4.0, 2.0)
        [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0), (5.0, 9.0)]
    """
    if not window > 0 or not hop > 0:
        raise ValueError(f"window={window} and hop={hop} seconds must both be above zero")
    if duration <= window:
        return [(0.0, duration)]
    regular = math.ceil((duration - window - ROUNDING) / hop)
    return [(i * hop, i * hop + window) for i in range(regular)] + [(duration - window, duration)]


def window_indices(
    pts_seconds: Float64[np.ndarray, " num_frames"] | Float64[Tensor, " num_frames"],
    start: float,
    end: float,
    sampling: Sampling,
) -> list[int]:
    """Frames to take from one window, by the network's own sampling.

    A frame belongs to the window if it begins in it. Where none does (a slideshow), the one on show is taken.

    Example:
        >>> import numpy as np
        >>> from interlace.data.sampling import SegmentSampling
        >>> from interlace.inference.timeline import window_indices
        >>> window_indices(np.arange(100) / 10.0, 2.0, 4.0, SegmentSampling(4))
        [22, 27, 32, 37]
    """
    pts = np.asarray(pts_seconds)
    first, stop = (int(index) for index in np.searchsorted(pts, [start - ROUNDING, end - ROUNDING]))
    if first == stop:
        first = max(0, int(np.searchsorted(pts, start, side="right")) - 1)
        stop = first + 1
    return [first + i for i in sampling.test_indices(stop - first)[0]]


def decode_forward(
    reader: VideoReader,
    clips: Sequence[Sequence[int]],
    shrink: Callable[[UInt8[Tensor, "N C H W"]], UInt8[Tensor, "N C S S"]],
) -> Iterator[UInt8[Tensor, "T C S S"]]:
    """Each clip's frames, made small, from one pass over the file.

    A frame is decoded once, however many windows share it, and forgotten after the last of them.
    """
    order = sorted({index for clip in clips for index in clip})
    last_use = {index: position for position, clip in enumerate(clips) for index in clip}
    kept: dict[int, Tensor] = {}
    decoded = 0
    for position, clip in enumerate(clips):
        while decoded < len(order) and order[decoded] <= max(clip):
            part = order[decoded : decoded + FRAMES_PER_READ]
            kept.update(zip(part, shrink(reader.frames_at(part)), strict=True))
            decoded += len(part)
        yield torch.stack([kept[index] for index in clip])
        kept = {index: frame for index, frame in kept.items() if last_use[index] > position}


@dataclass(frozen=True)
class Stretch:
    """A part of a video in which the best label stays the same."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float
    """Mean of the label's score over the windows."""
    peak: float
    """The highest one."""


def merge(predictions: Sequence[Prediction]) -> list[Stretch]:
    """Join neighbouring windows with the same best label; the border is the middle of the overlap.

    Raises:
        ValueError: a prediction is not of a window.

    Example:
        >>> from interlace.inference.timeline import merge
        >>> from interlace.types import Prediction
        >>> tops = [("wave", 0.8), ("wave", 0.6), ("clap", 0.9)]
        >>> parts = [Prediction("a.mp4", (top,), 2.0 * i, 2.0 * i + 4.0) for i, top in enumerate(tops)]
        >>> [(s.label, s.start_seconds, s.end_seconds, round(s.score, 3)) for s in merge(parts)]
        [('wave', 0.0, 5.0, 0.7), ('clap', 5.0, 8.0, 0.9)]
    """
    groups: list[list[Prediction]] = []
    for prediction in predictions:
        if groups and groups[-1][-1].label == prediction.label:
            groups[-1].append(prediction)
        else:
            groups.append([prediction])
    if not groups:
        return []
    borders = [_span(groups[0][0])[0]]
    for before, after in pairwise(groups):
        borders.append((_span(before[-1])[1] + _span(after[0])[0]) / 2)
    borders.append(_span(groups[-1][-1])[1])
    return [
        Stretch(
            start,
            end,
            group[0].label,
            score=sum(window.score for window in group) / len(group),
            peak=max(window.score for window in group),
        )
        for group, start, end in zip(groups, borders[:-1], borders[1:], strict=True)
    ]


def _span(prediction: Prediction) -> tuple[float, float]:
    if prediction.start_seconds is None or prediction.end_seconds is None:
        raise ValueError(f"{prediction.path} is predicted as a whole; merge takes the windows of a timeline")
    return prediction.start_seconds, prediction.end_seconds
