"""Batches of clips: which ones, in which order, and where to go on after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from interlace.data.epoch_sampler import EpochSampler
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
    """The order of the clips in an epoch, on one device."""

    def __iter__(self) -> Iterator[int]: ...
    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None:
        """Draw anew."""


class TrainLoader:
    """The batches of an epoch, always the same ones for the same epoch, from any batch on.

    A rest of less than half a batch is left out; the next epoch's order gives these clips their turn.
    Lightning stores :meth:`state_dict` in its checkpoints and hands it back to go on within an epoch.

    Args:
        dataset: clips; told of every new epoch.
        order: positions in the data set, for this device; told of every new epoch.
        batch_size: clips of a batch on this device.
        num_workers: processes that decode.
        collate: makes a batch out of a list of clips.
        seed: of whatever the loader itself draws.
        world_size: devices that share the epoch.
        pin_memory: for copies to a GPU that nothing waits for.

    Example:
        >>> from interlace.training.loader import TrainLoader
        >>> class Clips(list):
        ...     def set_epoch(self, epoch): pass
        >>> clips, order = Clips("abcdefg"), Clips(range(7))
        >>> loader = TrainLoader(clips, order, batch_size=3, num_workers=0, collate=list, seed=0)
        >>> list(loader)
        [['a', 'b', 'c'], ['d', 'e', 'f']]
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
        world_size: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.world_size = world_size
        self.order = order
        self.batch_size = batch_size
        self.epoch = 0
        self.batches_done = 0
        self._loader: DataLoader[Any] = DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=_Remaining(self),
            collate_fn=collate,
            generator=torch.Generator().manual_seed(seed),
            **worker_arguments(num_workers, pin_memory=pin_memory),
        )

    def __len__(self) -> int:
        return batches_per_epoch(len(self.dataset), self.batch_size, self.world_size)

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
        order, size = list(self.loader.order), self.loader.batch_size
        for number in range(self.loader.batches_done, len(self.loader)):
            yield order[number * size : (number + 1) * size]


def batches_per_epoch(num_clips: int, batch_size: int, world_size: int = 1) -> int:
    """Batches that each device sees: as many as one device with all their clips in its batches would see.

    Example:
        >>> from interlace.training.loader import batches_per_epoch
        >>> batches_per_epoch(10, 4), batches_per_epoch(9, 4), batches_per_epoch(1, 4)
        (3, 2, 1)
    """
    size = batch_size * world_size
    return max(1, (2 * num_clips + size) // (2 * size))


class ClipData(LightningDataModule):
    """Training and validation batches of one device among several.

    Validation clips are dealt out to the devices, none twice, so that metrics over all devices are exact.
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
        sample_weights: Tensor | None = None,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        self.train_dataset = train_dataset
        self.val_dataset = val_dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.collate = collate
        self.sample_weights = sample_weights
        self.pin_memory = pin_memory
        self._close: list[Callable[[], None]] = []

    def close(self) -> None:
        """End the processes of all loaders that were made."""
        while self._close:
            self._close.pop()()

    def train_dataloader(self) -> TrainLoader:
        """Batches of this device; the ranks together see every clip of the epoch's order."""
        rank, world_size = self._place()
        order = EpochSampler(len(self.train_dataset), self.seed, self.sample_weights, world_size, rank)
        loader = TrainLoader(
            self.train_dataset,
            order,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate=self.collate,
            seed=self.seed,
            world_size=world_size,
            pin_memory=self.pin_memory,
        )
        self._close.append(loader.close)
        return loader

    def val_dataloader(self) -> DataLoader[Any]:
        """Every clip of this device's part, in order."""
        rank, world_size = self._place()
        part: Dataset[Any] = Subset(self.val_dataset, range(rank, len(self.val_dataset), world_size))  # type: ignore[arg-type]
        loader: DataLoader[Any] = DataLoader(
            part,
            batch_size=self.batch_size,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.seed),
            **worker_arguments(self.num_workers, pin_memory=self.pin_memory),
        )
        self._close.append(partial(stop_workers, loader))
        return loader

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
