"""Timelines that are read from their files one by one, whenever one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from interlace.audiovisual.timelines.timeline import Timeline


@dataclass(frozen=True)
class ReadOnAccess(Sequence[Timeline]):
    """Timelines of which none is kept: features of gigabytes need the memory of one batch.

    Nothing is open between two reads, so that data-loader workers can share it, forked or spawned; ``read`` must
    be picklable for that.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.timelines.read_on_access import ReadOnAccess
        >>> from interlace.audiovisual.timelines.timeline import Timeline
        >>> def read(i):
        ...     return Timeline(f"{i}.mp4", torch.rand(2, 3), torch.rand(2, 1, 5), 0, torch.ones(2).bool())
        >>> timelines = ReadOnAccess(4, read)
        >>> len(timelines), timelines[-1].name, [timeline.name for timeline in timelines[:2]]
        (4, '3.mp4', ['0.mp4', '1.mp4'])
    """

    num_timelines: int
    read: Callable[[int], Timeline]
    """Reads timeline i of 0 to num_timelines - 1."""

    def __len__(self) -> int:
        return self.num_timelines

    def __iter__(self) -> Iterator[Timeline]:
        return map(self.read, range(self.num_timelines))

    @overload
    def __getitem__(self, index: int) -> Timeline: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Timeline, ...]: ...
    def __getitem__(self, index: int | slice) -> Timeline | tuple[Timeline, ...]:
        where = range(self.num_timelines)[index]
        return tuple(map(self.read, where)) if isinstance(where, range) else self.read(where)
