"""A set of timelines, read once: into memory where it fits, and into fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import torch

from interlace.audiovisual.tasks.batches import MEMORY_BYTES, in_memory
from interlace.audiovisual.timelines.timeline import TimelineSet


def loaded(timelines: TimelineSet, *, memory_bytes: int = MEMORY_BYTES) -> TimelineSet:
    """The same with all timelines in memory; as it is where they would not fit.

    Example:
        >>> from interlace.audiovisual import TimelineSet
        >>> from interlace.audiovisual.tasks.loaded import loaded
        >>> len(loaded(TimelineSet(("bark",), ())))
        0
    """
    read = in_memory(timelines, memory_bytes)
    return timelines if read is timelines.timelines else TimelineSet(timelines.labels, read, timelines.source)


@dataclass(frozen=True)
class Prints:
    """What a set of timelines is known by again."""

    whole: str
    """SHA-256 of labels, names, events and features: whether numbers are of the same data."""
    each: tuple[str, ...]
    """Of each timeline the first 16 digits of a SHA-256 of its event and features, whatever its name."""


def fingerprints(timelines: TimelineSet) -> Prints:
    """Read all timelines once.

    Example:
        >>> from interlace.audiovisual import TimelineSet
        >>> from interlace.audiovisual.tasks.loaded import fingerprints
        >>> fingerprints(TimelineSet(("bark",), ())) == fingerprints(TimelineSet(("horn",), ()))
        False
    """
    digest, each = hashlib.sha256(repr(timelines.labels).encode()), []
    for timeline in timelines:
        digest.update(repr((timeline.name, timeline.event, timeline.relevant.tolist())).encode())
        own = hashlib.sha256(repr((timeline.event, timeline.relevant.tolist())).encode())
        for rows in (timeline.audio, timeline.visual):
            content = rows.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            for of in (digest, own):
                of.update(f"{rows.dtype} {tuple(rows.shape)}".encode())
                of.update(content)
        each.append(own.hexdigest()[:16])
    return Prints(digest.hexdigest(), tuple(each))


def in_both(one: Collection[str], other: Collection[str]) -> int:
    """How many timelines of the second are in the first as well.

    Example:
        >>> from interlace.audiovisual.tasks.loaded import in_both
        >>> in_both(["a", "b"], ["b", "b", "c"])
        2
    """
    known = set(one)
    return sum(print_ in known for print_ in other)
