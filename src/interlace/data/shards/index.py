"""index.json: what every shard holds, and where in it each clip lies."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from interlace.data.shards.storage import Storage

FILE = "index.json"
FORMAT = 1
MARK = "interlace_shards"
"""The first name in the file; its value is the number of the format."""
Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, slots=True)
class ShardClip:
    """A clip: its members stand together, from byte ``first`` to ``end`` of the shard."""

    key: str
    path: str
    """In the data set that the shards were made of; below its folder, where it lay there."""
    labels: tuple[int, ...]
    start_seconds: float | None
    end_seconds: float | None
    num_frames: int | None
    """That a list promises of a folder of pictures."""
    first: int
    end: int
    crc32: int
    """Of these bytes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar file."""

    name: str
    split: Split
    num_bytes: int
    sha256: str
    clips: tuple[ShardClip, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    """(path, reason) of clips that could not be read when the shard was written."""


@dataclass(frozen=True)
class ShardIndex:
    """All shards of a data set.

    Raises:
        ValueError: of another format, or not what a shard folder's index holds.

    Example:
        >>> from interlace.data.shards.index import ShardIndex
        >>> index = ShardIndex(("run",), False, {}, {"train": "by hand", "val": "by hand"}, "", ())
        >>> ShardIndex.from_json(index.to_json(), "index.json") == index
        True
    """

    classes: tuple[str, ...]
    multi_label: bool
    settings: dict[str, Any]
    """How the clips were spread over shards."""
    sources: dict[str, str]
    """Of each split, where its clips come from."""
    plan: str
    """Changes with the clips, their sizes and the settings."""
    shards: tuple[Shard, ...]
    missing: tuple[tuple[str, str], ...] = ()
    """(path, reason) of clips that a list names but that were not on disk."""

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """(path, reason) of all clips that are in no shard."""
        return [*self.missing, *(clip for shard in self.shards for clip in shard.skipped)]

    def to_json(self) -> str:
        """A line for each shard, its clips in rows."""
        head = {MARK: FORMAT} | {name: value for name, value in asdict(self).items() if name != "shards"}
        head["num_clips"] = {
            split: sum(len(shard.clips) for shard in self.shards if shard.split == split) for split in SPLITS
        }
        rows = ",\n".join(shard_to_json(shard) for shard in self.shards)
        return f'{json.dumps(head)[:-1]}, "shards": [\n{rows}\n]}}\n'

    @classmethod
    def from_json(cls, text: str | bytes, place: str) -> ShardIndex:
        """Read it back; ``place`` is named in errors."""
        try:
            told = json.loads(text)
            number = told[MARK]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{place}: not the index of shards ({error}); write the shards again") from error
        if number != FORMAT:
            raise ValueError(
                f"{place}: its format is {number!r}, this version reads {FORMAT}; use the version that wrote it"
            )
        try:
            return cls(
                classes=tuple(str(name) for name in told["classes"]),
                multi_label=bool(told["multi_label"]),
                settings=dict(told["settings"]),
                sources={split: str(told["sources"][split]) for split in SPLITS},
                plan=str(told["plan"]),
                shards=tuple(_within(shard_from_json(shard), told["classes"]) for shard in told["shards"]),
                missing=tuple((str(path), str(reason)) for path, reason in told["missing"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{place}: damaged ({error}); write the shards again") from error


def shard_to_json(shard: Shard) -> str:
    """One line; a clip is the row of its fields."""
    told = asdict(shard) | {"clips": [list(asdict(clip).values()) for clip in shard.clips]}
    return json.dumps(told)


def shard_from_json(told: dict[str, Any]) -> Shard:
    """From what JSON holds; a shard is a file of the folder, never one elsewhere."""
    name, split = str(told["name"]), told["split"]
    if not re.fullmatch(r"\w[\w.\-]*\.tar", name) or split not in SPLITS:
        raise ValueError(f"a shard {name!r} of the split {split!r}")
    clips = tuple(_clip(row, int(told["num_bytes"])) for row in told["clips"])
    skipped = tuple((str(path), str(reason)) for path, reason in told["skipped"])
    return Shard(name, split, int(told["num_bytes"]), str(told["sha256"]), clips, skipped)


def _within(shard: Shard, classes: list[str]) -> Shard:
    for clip in shard.clips:
        if not all(0 <= label < len(classes) for label in clip.labels):
            raise ValueError(f"the clip {clip.key!r} has the labels {clip.labels} of {len(classes)} classes")
    return shard


def _clip(row: list[Any], num_bytes: int) -> ShardClip:
    key, path, labels, start, end_seconds, num_frames, first, end, crc32 = row
    if not 0 <= first < end <= num_bytes:
        raise ValueError(f"the clip {key!r} at bytes {first} to {end} of {num_bytes}")
    return ShardClip(
        key=str(key),
        path=str(path),
        labels=tuple(int(label) for label in labels),
        start_seconds=None if start is None else float(start),
        end_seconds=None if end_seconds is None else float(end_seconds),
        num_frames=None if num_frames is None else int(num_frames),
        first=int(first),
        end=int(end),
        crc32=int(crc32),
    )


def read_index(storage: Storage) -> ShardIndex:
    """The index of a folder or store.

    Raises:
        StorageError: there is none, as while shards are still being written.
        ValueError: see :class:`ShardIndex`.
    """
    return ShardIndex.from_json(storage.read(FILE), storage.path_of(FILE))
