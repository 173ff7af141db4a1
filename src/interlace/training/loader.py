"""Batches of clips: which ones, in which order, and where to go on after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from interlace.data.epoch_plan import EpochPlan
from interlace.data.epoch_sampler import EpochSampler
from interlace.data.shards.order import Lanes, ReadingOrder, in_lanes
from interlace.data.shards.runs import RunTable
from interlace.data.worker_errors import ClipLoader
from interlace.data.workers import stop_workers, worker_arguments

Collate = Callable[[list[dict[str, Any]]], dict[str, Any]]


@runtime_checkable
class EpochDataset(Protocol):
    """A data set whose random choices depend on the epoch; it has a clip at every position of the order."""

    def __getitem__(self, position: int) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None:
        """Draw anew."""


@runtime_checkable
class EpochSource(Protocol):
    """The order of the clips in an epoch, for all devices together."""

    def __iter__(self) -> Iterator[int]: ...
    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None:
        """Draw anew."""


class TrainLoader:
    """The batches of an epoch, always the same ones for the same epoch, from any batch on.

    The devices together see every clip of the order once (:class:`interlace.data.epoch_plan.EpochPlan`). Lightning
    stores :meth:`state_dict` in its checkpoints and hands it back to go on within an epoch; as it counts batches of
    which every device has one, the number of devices may be another then, if a step has as many clips as before.

    Args:
        dataset: clips; told of every new epoch.
        order: positions in the data set, for all devices together; told of every new epoch.
        batch_size: most clips of a batch on this device.
        num_workers: processes that decode.
        collate: makes a batch out of a list of clips, which is empty where devices outnumber the clips.
        seed: of whatever the loader itself draws.
        accumulate: batches of an update.
        rank: number of this device.
        world_size: devices that share the epoch.
        pin_memory: for copies to a GPU that nothing waits for.

    Example:
        >>> from interlace.training.loader import TrainLoader
        >>> class Clips(list):
        ...     def set_epoch(self, epoch): pass
        >>> clips, order = Clips("abcdefg"), Clips(range(7))
        >>> loader = TrainLoader(clips, order, batch_size=3, num_workers=0, collate=list, seed=0)
        >>> list(loader)
        [['a', 'b'], ['c', 'd'], ['e', 'f', 'g']]
    """

    def __init__(
        self,
        dataset: EpochDataset,
        order: EpochSource,
        *,
        batch_size: int,
        num_workers: int,
        collate: Callable[[list[Any]], Any],
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        world_size: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.order = order
        self.batch_size = batch_size
        self.rank = rank
        self.plan = EpochPlan(len(order), batch_size, world_size, accumulate)
        self.epoch = 0
        self.batches_done = 0
        self._loader = ClipLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=_Remaining(self),
            collate_fn=collate,
            generator=torch.Generator().manual_seed(seed),
            **worker_arguments(num_workers, pin_memory=pin_memory),
        )

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Any]:
        self.dataset.set_epoch(self.epoch)
        self.order.set_epoch(self.epoch)
        for number, batch in enumerate(self._loader, start=self.batches_done):
            self.batches_done = number + 1
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch = epoch
        self.batches_done = 0

    def close(self) -> None:
        """End the processes that decode."""
        stop_workers(self._loader)

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands."""
        return {"epoch": self.epoch, "batches_done": self.batches_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there."""
        self.epoch = state["epoch"]
        self.batches_done = state["batches_done"]


class _Remaining:
    """The batches of a loader's epoch that have not been handed out."""

    def __init__(self, loader: TrainLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[list[int]]:
        order, plan = list(self.loader.order), self.loader.plan
        for number in range(self.loader.batches_done, len(self.loader)):
            yield [order[position] for position in plan.positions(number, self.loader.rank)]


def validation_batches(
    num_clips: int, batch_size: int, rank: int = 0, world_size: int = 1
) -> list[list[int]]:
    """The batches of one device: every clip on one of them, and equally many batches on all.

    Devices that compute each layer together (FSDP) wait for each other: one that has no clip left has an empty batch.

    Example:
        >>> from interlace.training.loader import validation_batches
        >>> [validation_batches(5, 2, rank, world_size=2) for rank in (0, 1)]
        [[[0, 2], [4]], [[1, 3], []]]
    """
    positions = list(range(rank, num_clips, world_size))
    number = -(-num_clips // (batch_size * world_size))
    return [positions[k * batch_size : (k + 1) * batch_size] for k in range(number)]


class ClipData(LightningDataModule):
    """Training and validation batches of one device among several.

    Validation clips are dealt out to the devices, none twice, so that metrics over all devices are exact. Where clips
    lie in shards, ``train_table`` says where, and every process reads forward through a part of them.
    """

    def __init__(
        self,
        train_dataset: EpochDataset,
        val_dataset: Sized,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
        collate: Collate,
        accumulate: int = 1,
        sample_weights: Tensor | None = None,
        pin_memory: bool = False,
        train_table: RunTable | None = None,
        val_in_shards: bool = False,
    ) -> None:
        super().__init__()
        self.train_dataset = train_dataset
        self.val_dataset = val_dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.collate = collate
        self.accumulate = accumulate
        self.sample_weights = sample_weights
        self.pin_memory = pin_memory
        self.train_table = train_table
        self.val_in_shards = val_in_shards
        self._lanes: Lanes | None = None
        self._close: list[Callable[[], None]] = []

    def close(self) -> None:
        """End the processes of all loaders that were made."""
        while self._close:
            self._close.pop()()

    def state_dict(self) -> dict[str, Any]:
        """Who read the shards when the run began: it decides the order of all epochs."""
        return {} if self._lanes is None else {"lanes": asdict(self._lanes)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep that order, whoever reads now."""
        self._lanes = Lanes(**state_dict["lanes"])

    def train_dataloader(self) -> TrainLoader:
        """Batches of this device; the ranks together see every clip of the epoch's order."""
        rank, world_size = self._place()
        reading = None
        if self.train_table is not None:
            here = Lanes(self.batch_size, self.accumulate, world_size, self.num_workers)
            self._lanes = self._lanes or here
            reading = ReadingOrder(self.train_table, self.seed, self._lanes)
        order = EpochSampler(len(self.train_dataset), self.seed, self.sample_weights, reading)
        loader = TrainLoader(
            self.train_dataset,
            order,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate=self.collate,
            seed=self.seed,
            accumulate=self.accumulate,
            rank=rank,
            world_size=world_size,
            pin_memory=self.pin_memory,
        )
        self._close.append(loader.close)
        return loader

    def val_dataloader(self) -> ClipLoader:
        """Every clip of this device's part, in order."""
        rank, world_size = self._place()
        num_clips = len(self.val_dataset)
        batches = [
            validation_batches(num_clips, self.batch_size, device, world_size) for device in range(world_size)
        ]
        order = in_lanes(batches, self.num_workers) if self.val_in_shards else range(num_clips)
        loader = ClipLoader(
            self.val_dataset,  # type: ignore[arg-type]
            batch_sampler=[[order[position] for position in batch] for batch in batches[rank]],
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.seed),
            **worker_arguments(self.num_workers, pin_memory=self.pin_memory),
        )
        self._close.append(partial(stop_workers, loader))
        return loader

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
