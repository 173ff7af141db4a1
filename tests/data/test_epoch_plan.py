"""Clips dealt out to updates, steps and devices."""

from __future__ import annotations

from itertools import chain, product

from interlace.data.epoch_plan import EpochPlan


def clips(plan: EpochPlan) -> list[list[list[int]]]:
    """By batch and device."""
    return [
        [list(plan.positions(batch, rank)) for rank in range(plan.world_size)] for batch in range(len(plan))
    ]


def test_tables():
    assert clips(EpochPlan(7, 3)) == [[[0, 1]], [[2, 3]], [[4, 5, 6]]]
    assert clips(EpochPlan(9, 2, world_size=2)) == [[[0, 2], [1]], [[3, 5], [4]], [[6, 8], [7]]]
    assert clips(EpochPlan(3, 4, world_size=5)) == [[[0], [1], [2], [], []]]
    assert clips(EpochPlan(5, 2, accumulate=8)) == [[[0, 3]], [[1, 4]], [[2]]]  # an update of three batches
    assert clips(EpochPlan(6, 1, world_size=2, accumulate=2)) == [
        [[0], [2]],
        [[1], []],
        [[3], [5]],
        [[4], []],
    ]


def test_every_clip_once_in_updates_that_do_not_depend_on_who_shares_them():
    for num_clips, batch_size, devices, accumulate in product(range(1, 40), (1, 2, 3), (1, 2, 3), (1, 2, 4)):
        plan = EpochPlan(num_clips, batch_size, devices, accumulate)
        dealt = clips(plan)
        assert len(dealt) == plan.updates * plan.steps
        updates = [
            sorted(chain(*chain(*dealt[first : first + plan.steps])))
            for first in range(0, len(dealt), plan.steps)
        ]
        assert list(chain(*updates)) == list(range(num_clips))
        sizes = [len(update) for update in updates]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= plan.clips_per_update
        assert max(len(share) for batch in dealt for share in batch) <= batch_size
        assert plan.updates == 1 or plan.steps == accumulate  # else the loop would end updates elsewhere
        alone = EpochPlan(num_clips, batch_size * devices, 1, accumulate)
        assert [sorted(chain(*batch)) for batch in dealt] == [sorted(chain(*batch)) for batch in clips(alone)]
