"""Runs: neighbouring clips of a shard that are read in one request.

shard    |a b c d|e f|g h i j|k ...       a run ends where 8 MiB are full
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from interlace.data.shards.index import Shard

RUN_BYTES = 8 * 2**20
"""Enough for a request's delay not to count; one clip may be larger."""


@dataclass(frozen=True)
class Run:
    """Bytes ``first`` to ``end`` of a shard."""

    shard: str
    first: int
    end: int


def runs_of(shard: Shard, run_bytes: int = RUN_BYTES) -> list[tuple[Run, int]]:
    """The runs of a shard, each with its number of clips.

    Example:
        >>> from interlace.data.shards.index import Shard, ShardClip
        >>> from interlace.data.shards.runs import runs_of
        >>> bounds = ((0, 4), (4, 9), (9, 11))
        >>> clips = [ShardClip("", "", (0,), None, None, None, first, end, 0) for first, end in bounds]
        >>> [number for _, number in runs_of(Shard("a.tar", "train", 11, "", tuple(clips)), run_bytes=9)]
        [2, 1]
    """
    runs: list[tuple[Run, int]] = []
    first, number = 0, 0
    for i, clip in enumerate(shard.clips):
        if number and clip.end - first > run_bytes:
            runs.append((Run(shard.name, first, clip.first), number))
            number = 0
        first = clip.first if not number else first
        number += 1
        if i == len(shard.clips) - 1:
            runs.append((Run(shard.name, first, clip.end), number))
    return runs


@dataclass(frozen=True, eq=False)
class RunTable:
    """Of each clip of a split, where it is read: the number of its shard, and of its run in that shard."""

    shard: Int64[Tensor, " num_clips"]
    run: Int64[Tensor, " num_clips"]
