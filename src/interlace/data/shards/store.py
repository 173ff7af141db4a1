"""Clips out of shards: runs are read once, a few of them are kept, and a clip is opened from a file in memory."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from interlace.data import video
from interlace.data.annotations import Sample
from interlace.data.memory_folder import ROOT, memory_folder
from interlace.data.reader import VideoError, VideoReader
from interlace.data.shards.index import Shard, ShardClip
from interlace.data.shards.order import SHARDS_AT_A_TIME
from interlace.data.shards.runs import Run, RunTable, runs_of
from interlace.data.shards.storage import Storage, StorageError
from interlace.data.shards.write import PICTURE

_Key = tuple[Path, float | None, float | None]


class _Place(NamedTuple):
    shard: int
    row: int
    """Number of the run in the shard."""
    run: Run
    clip: ShardClip


class ShardStore:
    """The clips of shards by their samples. Any order of reading is right, that of `ReadingOrder` is quick.

    A clip costs a request for its run unless the run is among the few last ones, which are kept. One object serves
    one thread of each process.

    Args:
        storage: where the shards are.
        shards: what is in them.
        root: the folder or URL, as samples are named.
    """

    def __init__(self, storage: Storage, shards: tuple[Shard, ...], root: Path) -> None:
        self.storage = storage
        self.shards = shards
        self.root = root
        self._places: dict[_Key, _Place] = {}
        for number, shard in enumerate(shards):
            clips = iter(shard.clips)
            for row, (run, num_clips) in enumerate(runs_of(shard)):
                for clip in islice(clips, num_clips):
                    key = root / clip.path, clip.start_seconds, clip.end_seconds
                    self._places[key] = _Place(number, row, run, clip)
        self._kept: OrderedDict[Run, bytes | str] = OrderedDict()
        self._scratch: tuple[int, Path] | None = None

    @contextmanager
    def open(self, sample: Sample, **reading: Any) -> Iterator[VideoReader]:
        """The clip's video, as :func:`interlace.data.video.open` opens it.

        Raises:
            VideoError: its shard is missing, damaged or out of reach, or what the video's own reader finds.
        """
        _, _, run, clip = self._place(sample)
        place = f"{self.storage.path_of(run.shard)}, clip {clip.path}"
        if isinstance(reading.get("flow"), Path):
            raise VideoError(
                f"{place}: flow={str(reading['flow'])!r} was stored for files, not for shards; name a method, or make "
                "shards of folders that hold their flow"
            )
        folder = Path(tempfile.mkdtemp(dir=self._scratch_folder()))
        path = folder
        try:
            path = _unpacked(self._content(run, clip, place), clip.key, folder, place)
            with video.open(path, **reading) as reader:
                yield reader
        except VideoError as error:
            raise VideoError(str(error).replace(str(path), place)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def table(self, samples: Sequence[Sample]) -> RunTable:
        """Where each of these clips is read."""
        places = [self._place(sample) for sample in samples]
        return RunTable(torch.tensor([p.shard for p in places]), torch.tensor([p.row for p in places]))

    def _place(self, sample: Sample) -> _Place:
        return self._places[sample.path, sample.start_seconds, sample.end_seconds]

    def _content(self, run: Run, clip: ShardClip, place: str) -> bytes:
        if run not in self._kept:
            while len(self._kept) >= SHARDS_AT_A_TIME:
                self._kept.popitem(last=False)
            try:
                self._kept[run] = self.storage.read(run.shard, run.first, run.end)
            except StorageError as error:  # kept too: not asked for again with every clip
                self._kept[run] = str(error)
        self._kept.move_to_end(run)
        kept = self._kept[run]
        if isinstance(kept, str):
            raise VideoError(f"clip {clip.path}: {kept}")
        content = kept[clip.first - run.first : clip.end - run.first]
        if len(content) < clip.end - clip.first or zlib.crc32(content) != clip.crc32:
            raise VideoError(f"{place}: damaged or cut short; `interlace shard --verify` tells what else is")
        return content

    def _scratch_folder(self) -> Path:
        """A folder of this process, in memory where the system has it."""
        if self._scratch is None or self._scratch[0] != os.getpid():
            in_memory = os.access(ROOT, os.W_OK)
            folder = memory_folder(self) if in_memory else Path(tempfile.mkdtemp(prefix="interlace-"))
            self._scratch = os.getpid(), folder
        return self._scratch[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict(), "_scratch": None}


def _unpacked(content: bytes, key: str, folder: Path, place: str) -> Path:
    """Write a clip's members to files; the video, or the folder of the pictures."""
    pictures = folder / "pictures"
    path: Path | None = None
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix(f"{key}.")
                if name == "json":
                    continue
                # A link may lead elsewhere; a file with holes may be petabytes long.
                is_plain = member.isreg() and not member.issparse()
                if name == member.name or Path(name).name != name or not is_plain:
                    raise VideoError(
                        f"{place}: it holds {member.name!r}, which is not its own; write it again"
                    )
                if name.startswith(PICTURE):
                    pictures.mkdir(exist_ok=True)
                    path, file = pictures, pictures / name.removeprefix(PICTURE)
                else:
                    path = file = folder / f"clip.{name}"
                stream = tar.extractfile(member)
                file.write_bytes(b"" if stream is None else stream.read())
    except tarfile.TarError as error:
        raise VideoError(f"{place}: damaged ({error}); see `interlace shard --verify`") from error
    except OSError as error:  # of this machine, not of the clip: no reason to pass it over
        raise ValueError(
            f"{place}: cannot be unpacked to {folder} ({error.strerror}); make room there (docker: --shm-size)"
        ) from error
    if path is None:
        raise VideoError(f"{place}: no video in it; write the shards again")
    return path
