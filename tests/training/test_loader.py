"""Which clips are in which batch."""

from __future__ import annotations

from itertools import chain

from interlace.data.epoch_sampler import EpochSampler
from interlace.training.loader import TrainLoader, validation_batches


class Numbers(list):
    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def loader(num_clips: int = 11, **changes) -> TrainLoader:
    arguments = {"batch_size": 3, "num_workers": 0, "collate": list, "seed": 0, **changes}
    return TrainLoader(Numbers(range(num_clips)), EpochSampler(num_clips, 0), **arguments)


def test_every_clip_once_and_another_order_each_epoch():
    batches = loader()
    first = list(batches)
    assert [len(batch) for batch in first] == [2, 3, 3, 3]
    assert sorted(chain(*first)) == list(range(11))
    batches.set_epoch(1)
    assert list(batches) != first
    batches.set_epoch(0)
    assert list(batches) == first
    assert batches.dataset.epoch == 0


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
    whole = list(loader(11, batch_size=4, accumulate=2))
    parts = [list(loader(11, batch_size=2, accumulate=2, world_size=2, rank=rank)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]
    assert [len(batch) for batch in parts[1]] == [1, 1, 1, 1]


def test_gone_on_with_by_another_number_of_devices():
    whole = list(loader(11, batch_size=4))
    stopped = loader(11, batch_size=4)
    assert [next(iter(stopped))] == whole[:1]
    for devices in (2, 4):
        parts = [
            loader(11, batch_size=4 // devices, world_size=devices, rank=rank) for rank in range(devices)
        ]
        for part in parts:
            part.load_state_dict(stopped.state_dict())
        rest = [sorted(chain(*batches)) for batches in zip(*parts, strict=True)]
        assert rest == [sorted(batch) for batch in whole[1:]]


def test_validation_clips_are_on_one_device_each_and_batches_on_all():
    for num_clips, batch_size, devices in ((1, 1, 3), (2, 2, 5), (11, 2, 3), (12, 2, 3), (13, 4, 1)):
        parts = [validation_batches(num_clips, batch_size, rank, devices) for rank in range(devices)]
        assert sorted(chain(*chain(*parts))) == list(range(num_clips))
        assert {len(part) for part in parts} == {len(parts[0])}
        assert len(parts[0]) >= 1
        assert max(len(batch) for part in parts for batch in part) <= batch_size


def test_worker_processes_give_the_same_batches():
    assert list(loader(num_workers=1)) == list(loader())
