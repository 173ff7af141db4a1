"""Which clips the processes that decode have in hand, for whoever must tell when one of them is gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import get_worker_info

from interlace.data.annotations import Sample
from interlace.data.out_of_memory import named, naming_clips

_MOST_WORKERS, _MOST_CLIPS = 256, 64  # of more nothing is written down


class AtWork:
    """A table in shared memory with a row for each worker: its process, the clip that it reads, its batch.

    A process that is killed cannot tell what it was about; the table can.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Sample
        >>> from interlace.data.at_work import AtWork
        >>> at_work = AtWork([Sample(Path("a.mp4"), (0,)), Sample(Path("b.mp4"), (0,))])
        >>> at_work.read(lambda position: f"clip {position}", [1, 0])
        ['clip 1', 'clip 0']
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples
        self._rows = torch.full((_MOST_WORKERS, 2 + _MOST_CLIPS), -1, dtype=torch.int64).share_memory_()

    def path_of(self, position: int) -> Path:
        """The clip at a position of an epoch, which may come several times."""
        return self.samples[position % len(self.samples)].path

    def read(self, item: Callable[[int], Any], positions: Sequence[int]) -> list[Any]:
        """The items of a batch; while each is made, the table says so.

        Raises:
            OutOfMemoryError: there is no memory for them; the message names the clips.
        """
        with naming_clips(lambda: [self.path_of(position) for position in positions], "while decoding"):
            return [item(position) for position in self._noting(positions)]

    def _noting(self, positions: Sequence[int]) -> Iterator[int]:
        worker = get_worker_info()
        if worker is None or worker.id >= _MOST_WORKERS:
            yield from positions
            return
        row, noted = self._rows[worker.id], list(positions)[:_MOST_CLIPS]
        row[0], row[2:] = os.getpid(), -1
        row[2 : 2 + len(noted)] = torch.tensor(noted)
        for position in positions:
            row[1] = position
            yield position
        row[1] = -1  # the batch stays: it is on its way

    def told(self, process: int) -> str:
        """What a worker has, or had last, in hand, in words; empty if nothing is known of it."""
        for row in self._rows.tolist():
            if row[0] == process:
                batch = named([self.path_of(position) for position in row[2:] if position >= 0])
                reading = "" if row[1] < 0 else f"while it read {self.path_of(row[1])}, "
                return f"{reading}in a batch of {batch}"
        return ""

    def reading(self) -> list[str]:
        """The clips that are being read now."""
        return [str(self.path_of(position)) for position in self._rows[:, 1].tolist() if position >= 0]


@runtime_checkable
class Watched(Protocol):
    """A data set that tells what its workers have in hand."""

    at_work: AtWork
