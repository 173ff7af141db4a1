"""A video as a row of one-second segments, each seen and heard; the same for every reader, model and task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, overload

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NO_EVENT = -1
"""The event of a video that is background from end to end."""


@dataclass(frozen=True, repr=False)
class Timeline:
    """The features of one video, and where its event is.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline
        >>> Timeline("bark.mp4", torch.rand(4, 128), torch.rand(4, 1, 512), 0, torch.tensor([0, 1, 1, 0]).bool())
        Timeline(bark.mp4, 4 segments, audio (4, 128), visual (4, 1, 512), event 0 at 1-2)
    """

    name: str
    """File or id: what messages and tables call it."""
    audio: Float[Tensor, "N A"]
    """One row a segment; rows of zeros where there is no sound."""
    visual: Float[Tensor, "N P D"]
    """P places of the picture a segment: 49 for a map of 7 x 7, 1 for features of the whole picture."""
    event: int
    """Index of the event's label; NO_EVENT where all is background."""
    relevant: Bool[Tensor, " N"]
    """T_E: the segments in which the event is both seen and heard."""
    notes: tuple[str, ...] = field(default=())
    """What was odd about the file."""

    def __post_init__(self) -> None:
        dims = (self.audio.ndim, self.visual.ndim, self.relevant.ndim)
        if dims != (2, 3, 1) or self.relevant.dtype != torch.bool:
            raise ValueError(
                f"{self.name}: sound {tuple(self.audio.shape)}, picture {tuple(self.visual.shape)} and "
                f"{self.relevant.dtype} relevant {tuple(self.relevant.shape)}; expected (N, A), (N, P, D) and bool "
                "(N,), with P=1 for features of the whole picture"
            )
        lengths = {len(self.audio), len(self.visual), len(self.relevant)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"{self.name}: {len(self.audio)} rows of sound, {len(self.visual)} of picture and "
                f"{len(self.relevant)} labels; a timeline has one of each a segment"
            )
        if (self.event == NO_EVENT) != (not bool(self.relevant.any())):
            raise ValueError(
                f"{self.name}: event {self.event} with {int(self.relevant.sum())} relevant segments; a video "
                f"without an event has event={NO_EVENT} and none, any other has some"
            )

    @property
    def num_segments(self) -> int:
        """N."""
        return len(self.relevant)

    def __repr__(self) -> str:
        where = "background" if self.event == NO_EVENT else f"event {self.event} at {spans(self.relevant)}"
        return (
            f"Timeline({self.name}, {self.num_segments} segments, audio {tuple(self.audio.shape)}, "
            f"visual {tuple(self.visual.shape)}, {where})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TimelineSet(Sequence[Timeline]):
    """The timelines of a split, and the names of the events.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, TimelineSet
        >>> bark = Timeline("bark.mp4", torch.rand(4, 128), torch.rand(4, 1, 512), 0, torch.ones(4).bool())
        >>> TimelineSet(("bark", "bell"), (bark,), "my videos")
        TimelineSet(1 timelines, 2 events, from my videos)
    """

    labels: tuple[str, ...]
    """Names of the K events, without background, in the order of the indices."""
    timelines: Sequence[Timeline]
    """All of them, or a sequence that reads each from its file when it is asked for."""
    source: str = ""
    """Where they come from: said in reports."""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(
                f"the labels {', '.join(self.labels)} name an event twice; every name stands for one"
            )
        # Those that are read from files are checked by what reads them.
        for timeline in self.timelines if isinstance(self.timelines, (tuple, list)) else ():
            if not NO_EVENT <= timeline.event < len(self.labels):
                raise ValueError(
                    f"{timeline.name} has event {timeline.event}, but there are {len(self.labels)} labels; "
                    f"events are 0 to {len(self.labels) - 1}, or {NO_EVENT} where there is none"
                )

    def __len__(self) -> int:
        return len(self.timelines)

    @overload
    def __getitem__(self, index: int) -> Timeline: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Timeline]: ...
    def __getitem__(self, index: int | slice) -> Timeline | Sequence[Timeline]:
        return self.timelines[index]

    def __iter__(self) -> Iterator[Timeline]:
        return iter(self.timelines)

    def __repr__(self) -> str:
        source = f", from {self.source}" if self.source else ""
        return f"TimelineSet({len(self)} timelines, {len(self.labels)} events{source})"


@dataclass(frozen=True)
class Batch:
    """Timelines side by side, the shorter ones filled up with zeros at the end."""

    audio: Float[Tensor, "B N A"]
    visual: Float[Tensor, "B N P D"]
    mask: Bool[Tensor, "B N"]
    """True at segments that there are, False at those filled up."""
    event: Tensor
    """int64 (B,)."""
    relevant: Bool[Tensor, "B N"]

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        return Batch(*(value.to(device) for value in vars(self).values()))


def collate(timelines: Sequence[Timeline]) -> Batch:
    """Put timelines of any lengths into one batch.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> def silent(n):
        ...     return Timeline("x", torch.zeros(n, 3), torch.zeros(n, 1, 5), -1, torch.zeros(n).bool())
        >>> collate([silent(4), silent(6)]).mask.sum(1)
        tensor([4, 6])
    """
    length = max(timeline.num_segments for timeline in timelines)

    def filled(rows: Tensor) -> Tensor:
        return torch.cat([rows, rows.new_zeros(length - len(rows), *rows.shape[1:])])

    return Batch(
        audio=torch.stack([filled(timeline.audio) for timeline in timelines]),
        visual=torch.stack([filled(timeline.visual) for timeline in timelines]),
        mask=torch.stack([filled(torch.ones_like(timeline.relevant)) for timeline in timelines]),
        event=torch.tensor([timeline.event for timeline in timelines]),
        relevant=torch.stack([filled(timeline.relevant) for timeline in timelines]),
    )


def segment_labels(event: Tensor, relevant: Bool[Tensor, "B N"], num_events: int) -> Tensor:
    """int64 (B, N): the event's index where it is, ``num_events`` (background, the last class) elsewhere."""
    return torch.where(relevant, event[:, None], num_events)


def spans(relevant: Bool[Tensor, " N"]) -> str:
    """The runs of True in words: ``1-2, 5``."""
    where = [(start, end - 1) for start, end, value in runs(relevant.tolist()) if value]
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in where)


def runs(values: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """(start, end, value) of each stretch of equal values.

    Example:
        >>> from interlace.audiovisual.timelines.timeline import runs
        >>> runs(["", "bark", "bark"])
        [(0, 1, ''), (1, 3, 'bark')]
    """
    found: list[tuple[int, int, Any]] = []
    for value, group in groupby(values):
        start = found[-1][1] if found else 0
        found.append((start, start + len(list(group)), value))
    return found
