"""A set of timelines, read once: into memory where it fits, and into a fingerprint."""

from __future__ import annotations

import hashlib

import torch

from interlace.audiovisual.tasks.batches import MEMORY_BYTES, bytes_of
from interlace.audiovisual.timelines.timeline import TimelineSet


def loaded(timelines: TimelineSet, *, memory_bytes: int = MEMORY_BYTES) -> TimelineSet:
    """The same with all timelines in memory; as it is where they would not fit.

    Example:
        >>> from interlace.audiovisual import TimelineSet
        >>> from interlace.audiovisual.tasks.loaded import loaded
        >>> len(loaded(TimelineSet(("bark",), ())))
        0
    """
    if len(timelines) and bytes_of(timelines) > memory_bytes:
        return timelines
    return TimelineSet(timelines.labels, tuple(timelines), timelines.source)


def fingerprint(timelines: TimelineSet) -> str:
    """SHA-256 of labels, names, events and features: whether numbers are of the same data.

    Example:
        >>> from interlace.audiovisual import TimelineSet
        >>> from interlace.audiovisual.tasks.loaded import fingerprint
        >>> fingerprint(TimelineSet(("bark",), ())) == fingerprint(TimelineSet(("horn",), ()))
        False
    """
    digest = hashlib.sha256(repr(timelines.labels).encode())
    for timeline in timelines:
        digest.update(repr((timeline.name, timeline.event, timeline.relevant.tolist())).encode())
        for rows in (timeline.audio, timeline.visual):
            digest.update(f"{rows.dtype} {tuple(rows.shape)}".encode())
            digest.update(rows.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
