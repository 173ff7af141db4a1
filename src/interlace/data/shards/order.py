"""The order in which clips are read, so that each process reads forward through shards of its own.

    epoch's order     0 1 2 3 | 4 5 6 7 | 8 ...      batches of 2 clips on each of 2 devices
    device            0 1 0 1 | 0 1 0 1 | 0 ...
    its worker        0 0 0 0 | 1 1 1 1 | 0 ...      batch n is made by worker n % num_workers

Every (device, worker) is a lane. The clips in the order of the shards are cut into as many pieces as there are lanes,
and each piece is laid into the places of its lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from interlace.data.epoch_plan import EpochPlan
from interlace.data.seed import mixed_seed
from interlace.data.shards.runs import RunTable

SHARDS_AT_A_TIME = 4
"""Shards that a worker reads side by side: clips of so many runs are mixed, and held in memory."""


@dataclass(frozen=True)
class Lanes:
    """Who reads what: decides the order, so a run that goes on keeps those that it began with."""

    batch_size: int
    """Most clips of a batch on one device."""
    accumulate: int
    world_size: int
    num_workers: int

    def places(self, num_clips: int) -> list[list[int]]:
        """For each lane, the positions of an epoch's order that it reads, in turn."""
        plan = EpochPlan(num_clips, self.batch_size, self.world_size, self.accumulate)
        return lane_places(
            [[plan.positions(batch, rank) for batch in range(len(plan))] for rank in range(self.world_size)],
            self.num_workers,
        )


def lane_places(batches: Sequence[Sequence[Sequence[int]]], num_workers: int) -> list[list[int]]:
    """The same where ``batches`` are those of each device.

    Example:
        >>> from interlace.data.shards.order import lane_places
        >>> lane_places([[[0, 2], [4, 6], [8]], [[1, 3], [5, 7], []]], num_workers=2)
        [[0, 2, 8], [4, 6], [1, 3], [5, 7]]
    """
    workers = max(1, num_workers)
    return [
        [position for batch in own[worker::workers] for position in batch]
        for own in batches
        for worker in range(workers)
    ]


class ReadingOrder:
    """Rearranges the clips of an epoch; a pure function of (seed, epoch, lanes, clips).

    Shards are shuffled and taken four at a time; of these, the first runs are read and their clips mixed, then the
    second ones, and so on. Every shard is read forward, and no run twice but for one at each cut between two lanes.

    Args:
        table: where each clip is read.
        seed: of the shuffles.
        lanes: who reads.

    Example:
        >>> import torch
        >>> from interlace.data.shards.order import Lanes, ReadingOrder
        >>> from interlace.data.shards.runs import RunTable
        >>> table = RunTable(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 0]))
        >>> order = ReadingOrder(table, seed=0, lanes=Lanes(1, 1, world_size=2, num_workers=1))
        >>> table.shard[order(torch.arange(4), epoch=0)].tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
        True
    """

    def __init__(self, table: RunTable, seed: int, lanes: Lanes) -> None:
        self.table = table
        self.seed = seed
        self.lanes = lanes

    def __call__(self, clips: Int64[Tensor, " n"], epoch: int) -> Int64[Tensor, " n"]:
        """The same clips (some may come several times, some not at all) in the order for reading."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch, 1))
        clips = clips[torch.randperm(len(clips), generator=generator)]  # mixed within a run
        shuffled = torch.randperm(int(self.table.shard.max()) + 1, generator=generator)
        shard, run = shuffled[self.table.shard[clips]], self.table.run[clips]
        most_runs = int(self.table.run.max()) + 1
        row = shard // SHARDS_AT_A_TIME * most_runs + run  # runs side by side
        forward = (row * SHARDS_AT_A_TIME + shard % SHARDS_AT_A_TIME).argsort(stable=True)
        clips, row = clips[forward], row[forward]

        lanes = self.lanes.places(len(clips))
        places = torch.tensor([position for own in lanes for position in own])
        lane = torch.arange(len(lanes)).repeat_interleave(torch.tensor([len(own) for own in lanes]))
        mixed = torch.randperm(len(clips), generator=generator)
        mixed = mixed[(lane[mixed] * (int(row.max()) + 1) + row[mixed]).argsort(stable=True)]
        return torch.empty_like(clips).scatter_(0, places, clips[mixed])


def in_lanes(batches: Sequence[Sequence[Sequence[int]]], num_workers: int) -> list[int]:
    """The clips in the order of their shards, laid into lanes: for a pass over all whose order does not matter.

    Example:
        >>> from interlace.data.shards.order import in_lanes
        >>> in_lanes([[[0], [1], [2], [3], [4], [5]]], num_workers=2)
        [0, 3, 1, 4, 2, 5]
    """
    places = [position for own in lane_places(batches, num_workers) for position in own]
    order = [0] * len(places)
    for clip, position in enumerate(places):
        order[position] = clip
    return order
