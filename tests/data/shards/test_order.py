"""The order of reading: every clip once, every shard forward, the same for whoever asks."""

from __future__ import annotations

import itertools

import pytest
import torch

from interlace.data.epoch_plan import EpochPlan
from interlace.data.epoch_sampler import EpochSampler
from interlace.data.shards.order import SHARDS_AT_A_TIME, Lanes, ReadingOrder, in_lanes
from interlace.data.shards.runs import RunTable

CLIPS_OF_RUN, RUNS_OF_SHARD = 3, 5


def table(num_clips: int) -> RunTable:
    clip = torch.arange(num_clips)
    run = clip // CLIPS_OF_RUN
    return RunTable(run // RUNS_OF_SHARD, run % RUNS_OF_SHARD)


def lanes_of_epoch(
    num_clips: int, lanes: Lanes, epoch: int = 0, seed: int = 3
) -> dict[tuple[int, int], list[int]]:
    """The clips that each (rank, worker) reads, in order."""
    order = EpochSampler(num_clips, seed, arrange=ReadingOrder(table(num_clips), seed, lanes)).order(epoch)
    plan = EpochPlan(num_clips, lanes.batch_size, lanes.world_size, lanes.accumulate)
    workers = max(1, lanes.num_workers)
    read: dict[tuple[int, int], list[int]] = {}
    for rank, batch in itertools.product(range(lanes.world_size), range(len(plan))):
        positions = list(plan.positions(batch, rank))
        read.setdefault((rank, batch % workers), []).extend(order[positions].tolist())
    return read


@pytest.mark.parametrize("num_clips", [1, 7, 101, 450])
@pytest.mark.parametrize(
    "lanes", [Lanes(4, 1, 1, 0), Lanes(4, 1, 2, 3), Lanes(2, 3, 3, 2), Lanes(1, 1, 5, 2)]
)
def test_every_clip_once_and_every_run_once_but_at_cuts(num_clips, lanes):
    read = lanes_of_epoch(num_clips, lanes)
    assert sorted(itertools.chain(*read.values())) == list(range(num_clips))
    by_rank = [
        sum(len(read[place]) for place in read if place[0] == rank) for rank in range(lanes.world_size)
    ]
    plan = EpochPlan(num_clips, lanes.batch_size, lanes.world_size, lanes.accumulate)
    assert max(by_rank) - min(by_rank) <= len(plan)  # at most one clip a step
    where = table(num_clips)
    loads = 0
    for clips in read.values():
        kept: list[tuple[int, int]] = []
        last: dict[int, int] = {}
        for clip in clips:
            shard, run = int(where.shard[clip]), int(where.run[clip])
            if (shard, run) not in kept:
                loads += 1
                kept = [*kept, (shard, run)][-SHARDS_AT_A_TIME:]
                assert run > last.get(shard, -1)  # forward, and never back to one that was let go
                last[shard] = run
            else:
                kept.append(kept.pop(kept.index((shard, run))))
    num_runs = -(-num_clips // CLIPS_OF_RUN)
    assert loads <= num_runs + len(read) - 1


def test_depends_on_seed_and_epoch_alone():
    lanes = Lanes(4, 1, 2, 2)
    first = lanes_of_epoch(101, lanes)
    assert lanes_of_epoch(101, lanes) == first
    assert lanes_of_epoch(101, lanes, epoch=1) != first
    assert lanes_of_epoch(101, lanes, seed=4) != first


def test_clips_of_several_shards_are_mixed():
    (clips,) = lanes_of_epoch(450, Lanes(4, 1, 1, 1)).values()
    shards = table(450).shard[clips[: SHARDS_AT_A_TIME * CLIPS_OF_RUN]].tolist()
    assert len(set(shards)) == SHARDS_AT_A_TIME
    assert shards != sorted(shards)


def test_repeated_clips_keep_their_number():
    drawn = torch.tensor([0, 5, 5, 5, 17, 17, 3, 29])
    order = ReadingOrder(table(30), 0, Lanes(2, 1, 2, 1))(drawn, 0)
    assert order.sort().values.tolist() == drawn.sort().values.tolist()


def test_unshuffled_lanes_are_contiguous():
    batches = [[[0, 2], [4]], [[1, 3], []]]  # two devices
    order = in_lanes(batches, num_workers=1)
    assert [[order[i] for batch in own for i in batch] for own in batches] == [[0, 1, 2], [3, 4]]
