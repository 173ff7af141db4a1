"""What a run finds out about its clips before it starts."""

from __future__ import annotations

import hashlib
import statistics
from functools import partial
from typing import Any

from interlace.data import video
from interlace.data.annotations import Annotations, ClipStore, Sample

CLIPS_TO_MEASURE = 32


def fingerprint(annotations: Annotations) -> str:
    """A short text that changes with the clips, their order and their labels.

    Example:
        >>> from interlace.data.annotations import Annotations
        >>> from interlace.training.facts import fingerprint
        >>> len(fingerprint(Annotations((), classes=("run", "walk"), source="")))
        16
    """
    told = [
        (str(s.path), s.labels, s.start_seconds, s.end_seconds, s.num_frames) for s in annotations.samples
    ]
    return hashlib.sha256(repr((annotations.classes, told)).encode()).hexdigest()[:16]


def median_seconds(annotations: Annotations, **reading: Any) -> float | None:
    """Median length of the clips, from a few of them spread over the list; None if none can be read.

    It becomes the window that a long video is cut into at prediction, so that the network sees there what it
    has learned from. ``reading``: arguments of :func:`interlace.data.video.open`.
    """
    step = max(1, len(annotations) // CLIPS_TO_MEASURE)
    # Clips lie in shards at random; the first ones are read together.
    chosen = (
        annotations.samples[::step] if annotations.store is None else annotations.samples[:CLIPS_TO_MEASURE]
    )
    lengths = [_seconds(sample, annotations.store, reading) for sample in chosen]
    known = [length for length in lengths if length]
    return round(statistics.median(known), 3) if known else None


def _seconds(sample: Sample, store: ClipStore | None, reading: dict[str, Any]) -> float | None:
    if sample.start_seconds is not None and sample.end_seconds is not None:
        return sample.end_seconds - sample.start_seconds
    try:
        opened = partial(video.open, sample.path) if store is None else partial(store.open, sample)
        with opened(on_error="skip", **reading) as reader:
            return float(reader.duration_seconds)
    except video.VideoError:
        return None  # training itself reports it
