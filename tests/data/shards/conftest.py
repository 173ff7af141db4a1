"""A small data set, and a store that counts what is asked of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from interlace.data.shards.index import ShardIndex
from interlace.data.shards.plan import ShardSettings
from interlace.data.shards.sharding import shard_clips
from interlace.data.splits import read_splits


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A folder per class: 5 + 6 + 7 videos, each of another length; one of each class will be held out."""
    folder = tmp_path_factory.mktemp("clips")
    lengths = itertools.count(7)
    for name, number in (("jump", 5), ("run", 6), ("walk", 7)):
        for i in range(number):
            make_video(folder / name / f"{i}.mp4", num_frames=next(lengths), size=(32, 48), fps=8.0)
    return folder


@pytest.fixture
def make_shards(clips: Path) -> Callable[..., ShardIndex]:
    """Write shards of it, 4 clips in each."""

    def make(output: Path | str, **changes: int) -> ShardIndex:
        settings = ShardSettings(**{"clips": 4, **changes})
        return shard_clips(*read_splits(clips), clips, output, settings, num_workers=2)[0]

    return make


class CountingStore(MemoryFileSystem):
    """Keeps a list of all reads, and fails when it is told to."""

    protocol = "counted"
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reads: ClassVar[list[tuple[str, int, int]]] = []
    failures: ClassVar[list[Exception]] = []

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **options: object
    ) -> bytes:
        self._fail()
        self.reads.append((path.rpartition("/")[2], start, end))
        return super().cat_file(path, start=start, end=end)

    def put_file(self, lpath: str, rpath: str, **options: object) -> None:
        self._fail()
        super().put_file(lpath, rpath, **options)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[CountingStore]]:
    """The store behind counted:// URLs, empty; nothing waits between attempts."""
    fsspec.register_implementation("counted", CountingStore, clobber=True)
    monkeypatch.setattr("interlace.data.shards.storage.FIRST_PAUSE_SECONDS", 0.0)
    yield CountingStore
    CountingStore.store.clear()
    CountingStore.pseudo_dirs[:] = [""]
    CountingStore.reads.clear()
    CountingStore.failures.clear()
