"""Training on shards: repeats bit for bit, goes on in the middle of an epoch, every clip once."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from interlace.data.dataset import TrainDataset, collate
from interlace.data.sampling import SegmentSampling
from interlace.data.shards.folder import read_shards
from interlace.data.transforms import train_transform
from interlace.training.loader import ClipData, TrainLoader


@pytest.fixture
def make_loader(make_shards, tmp_path):
    """The training batches of a device, in a run that begins or that goes on with another's state."""
    make_shards(tmp_path / "out")

    def make(
        num_workers: int = 0,
        batch_size: int = 2,
        rank: int = 0,
        world_size: int = 1,
        begun: dict | None = None,
    ) -> tuple[TrainLoader, dict]:
        train, val = read_shards(tmp_path / "out")
        data = ClipData(
            TrainDataset(train, SegmentSampling(3), train_transform(28), seed=5),
            val,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=5,
            collate=collate,
            train_table=train.store.table(train.samples),
            val_in_shards=True,
        )
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
        if begun is not None:
            data.load_state_dict(begun)
        return data.train_dataloader(), data.state_dict()

    return make


def epoch_of(loader: TrainLoader, epoch: int) -> list[dict[str, torch.Tensor]]:
    loader.set_epoch(epoch)
    return list(loader)


def same(batches: list, others: list) -> bool:
    return len(batches) == len(others) and all(
        torch.equal(batch[name], other[name])
        for batch, other in zip(batches, others, strict=True)
        for name in ("clip", "index", "label")
    )


def test_goes_on_in_an_epoch_bit_for_bit_with_other_workers(make_loader):
    begun, state = make_loader()
    assert state == {"lanes": {"batch_size": 2, "accumulate": 1, "world_size": 1, "num_workers": 0}}
    whole = epoch_of(begun, 3)
    assert sorted(torch.cat([batch["index"] for batch in whole]).tolist()) == list(range(15))
    begun.set_epoch(3)
    first = list(itertools.islice(begun, 3))
    resumed, kept = make_loader(num_workers=2, begun=state)
    assert kept == state
    resumed.load_state_dict(begun.state_dict())
    rest = list(resumed)
    assert same(first + rest, whole)
    assert same(epoch_of(resumed, 4), epoch_of(begun, 4))
    resumed.close()


def test_goes_on_with_another_number_of_devices(make_loader):
    begun, state = make_loader(batch_size=4)
    whole = epoch_of(begun, 1)
    begun.set_epoch(1)
    next(iter(begun))
    parts = []
    for rank in range(2):
        loader, _ = make_loader(batch_size=2, rank=rank, world_size=2, begun=state)
        loader.load_state_dict(begun.state_dict())
        parts.append(list(loader))
    assert [len(part) for part in parts] == [len(whole) - 1] * 2
    for batch, *shares in zip(whole[1:], *parts, strict=True):
        assert sorted(torch.cat([share["index"] for share in shares]).tolist()) == sorted(
            batch["index"].tolist()
        )


def test_devices_share_the_epoch(make_loader):
    loaders = [make_loader(rank=rank, world_size=3)[0] for rank in range(3)]
    seen = [batch["index"] for loader in loaders for batch in epoch_of(loader, 0)]
    assert sorted(torch.cat(seen).tolist()) == list(range(15))
