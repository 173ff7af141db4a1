"""Which clips are in which batch."""

from __future__ import annotations

from itertools import chain

from interlace.data.epoch_sampler import EpochSampler
from interlace.training.loader import TrainLoader, batches_per_epoch


class Numbers(list):
    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def loader(num_clips: int = 11, **changes) -> TrainLoader:
    arguments = {"batch_size": 3, "num_workers": 0, "collate": list, "seed": 0, **changes}
    rank, world_size = arguments.pop("rank", 0), arguments.get("world_size", 1)
    order = EpochSampler(num_clips, 0, None, world_size, rank)
    return TrainLoader(Numbers(range(num_clips)), order, **arguments)


def test_every_clip_once_and_another_order_each_epoch():
    batches = loader()
    first = list(batches)
    assert [len(batch) for batch in first] == [3, 3, 3, 2]
    assert sorted(chain(*first)) == list(range(11))
    batches.set_epoch(1)
    assert list(batches) != first
    batches.set_epoch(0)
    assert list(batches) == first
    assert batches.dataset.epoch == 0


def test_a_rest_of_less_than_half_a_batch_waits_for_the_next_epoch():
    assert [len(batch) for batch in loader(10)] == [3, 3, 3]
    assert [batches_per_epoch(n, 4) for n in (1, 5, 6, 8, 9, 10)] == [1, 1, 2, 2, 2, 3]


def test_goes_on_where_it_stopped():
    whole = list(loader())
    stopped = loader()
    iterator = iter(stopped)
    assert [next(iterator), next(iterator)] == whole[:2]
    resumed = loader()
    resumed.load_state_dict(stopped.state_dict())
    assert list(resumed) == whole[2:]
    assert len(resumed) == 4  # of the whole epoch, as the training loop counts


def test_two_devices_share_the_batches_of_one():
    whole = list(loader(12, batch_size=4))
    parts = [list(loader(12, batch_size=2, world_size=2, rank=rank)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]


def test_worker_processes_give_the_same_batches():
    assert list(loader(num_workers=1)) == list(loader())
