"""Which clips of an epoch's order are in which batch of which device: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochPlan:
    """An epoch cut into updates, an update into steps, a step into the devices' shares.

    All updates have equally many clips, or one fewer: no clip is left out and none comes twice. Which clips an update
    has depends on their number alone, not on how devices and steps share them::

        10 clips, batch_size 2, accumulate 2:      0 1 2   3 4 5   6 7 8 9
        the last update:                           step 0: 6 8     step 1: 7 9
        the same on 2 devices with batch_size 1:   step 0: 6 | 8   step 1: 7 | 9

    Args:
        num_clips: clips of the epoch, 1 or more.
        batch_size: most clips of a step on one device.
        world_size: devices.
        accumulate: steps of an update.

    Example:
        >>> from interlace.data.epoch_plan import EpochPlan
        >>> plan = EpochPlan(10, batch_size=2, accumulate=2)
        >>> [list(plan.positions(batch)) for batch in range(len(plan))]
        [[0, 2], [1], [3, 5], [4], [6, 8], [7, 9]]
    """

    num_clips: int
    batch_size: int
    world_size: int = 1
    accumulate: int = 1

    @property
    def clips_per_update(self) -> int:
        """Most clips of an update."""
        return self.batch_size * self.world_size * self.accumulate

    @property
    def updates(self) -> int:
        """Updates of the epoch."""
        return -(-self.num_clips // self.clips_per_update)

    @property
    def steps(self) -> int:
        """Steps of an update; where the whole epoch is one of few clips, as many as they fill."""
        return min(self.accumulate, -(-self.num_clips // (self.batch_size * self.world_size)))

    def __len__(self) -> int:
        return self.updates * self.steps

    def positions(self, batch: int, rank: int = 0) -> range:
        """Places in the epoch's order that a device's batch has; none where devices outnumber the clips."""
        update, step = divmod(batch, self.steps)
        first, end = (self.num_clips * number // self.updates for number in (update, update + 1))
        return range(first + step + self.steps * rank, end, self.steps * self.world_size)
