"""Which clip goes to which shard: decided before anything is written, the same at every call."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from interlace.data.annotations import Annotations, Sample
from interlace.data.frame_folder import is_picture
from interlace.data.seed import mixed_seed
from interlace.data.shards.index import SPLITS, Split


@dataclass(frozen=True)
class ShardSettings:
    """How clips are spread over shards."""

    clips: int = 10_000
    """Most clips of a shard."""
    megabytes: float | int = 256.0
    """Size at which a shard is full; one clip may be larger."""
    seed: int = 0
    """Of the order in which clips are dealt to shards, and of what is held out."""

    def __post_init__(self) -> None:
        if self.clips < 1 or self.megabytes <= 0:
            raise ValueError(
                f"clips={self.clips} and megabytes={self.megabytes} of a shard must leave room for one clip"
            )


@dataclass(frozen=True)
class PlannedClip:
    """A clip and the files that hold it."""

    key: str
    path: str
    """As the index names it."""
    sample: Sample
    files: tuple[Path, ...]
    """One video, or the pictures of a folder."""
    is_folder: bool
    num_bytes: int


@dataclass(frozen=True)
class PlannedShard:
    """The clips of one shard, in order."""

    name: str
    split: Split
    clips: tuple[PlannedClip, ...]

    def fingerprint(self) -> str:
        """A text that changes with the clips, their labels and sizes."""
        told = [
            (c.key, c.path, c.sample.labels, c.sample.start_seconds, c.sample.end_seconds, c.num_bytes)
            for c in self.clips
        ]
        return hashlib.sha256(repr((self.name, told)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def plan_shards(
    train: Annotations,
    val: Annotations,
    root: Path,
    settings: ShardSettings,
    *,
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[tuple[PlannedShard, ...], tuple[tuple[str, str], ...]]:
    """The shards of both splits, and (path, reason) of clips whose files cannot be looked at.

    Clips are shuffled, then dealt until a shard is full, so that each shard is a random sample of its split.

    Raises:
        ValueError: such a clip under ``on_error="raise"``.
    """
    shards: list[PlannedShard] = []
    missing: list[tuple[str, str]] = []
    number = 0
    for split, part in zip(SPLITS, (train, val), strict=True):
        generator = torch.Generator().manual_seed(mixed_seed(settings.seed, SPLITS.index(split)))
        clips: list[PlannedClip] = []
        for i in torch.randperm(len(part), generator=generator).tolist():
            sample = part.samples[i]
            try:
                clips.append(_planned(f"{number:09d}", sample, root))
                number += 1
            except OSError as error:
                reason = f"{sample.path}: {error.strerror or error}"
                if on_error == "raise":
                    raise ValueError(f'{reason}; restore it, or leave it out with on_error="skip"') from error
                missing.append((_name(sample.path, root), reason))
        missing += [(_name(path, root), "it is not on disk") for path in part.missing]
        dealt = _dealt(clips, settings)
        shards += [PlannedShard(f"{split}-{i:06d}.tar", split, own) for i, own in enumerate(dealt)]
    return tuple(shards), tuple(missing)


def _planned(key: str, sample: Sample, root: Path) -> PlannedClip:
    is_folder = sample.path.is_dir()
    files = (
        tuple(sorted(file for file in sample.path.iterdir() if is_picture(file.name)))
        if is_folder
        else (sample.path,)
    )
    num_bytes = sum(file.stat().st_size for file in files)
    if not num_bytes:
        raise OSError(f"{'no picture in it' if is_folder else 'the file is empty (0 bytes)'}")
    return PlannedClip(key, _name(sample.path, root), sample, files, is_folder, num_bytes)


def _name(path: Path, root: Path) -> str:
    """Below the data folder, where it lies there: so a clip is known wherever the folder lies."""
    whole, folder = (os.path.abspath(place) for place in (path, root))  # noqa: PTH100 - links stay as they are
    return Path(whole[len(folder) + 1 :] if whole.startswith(folder + os.sep) else whole).as_posix()


def _dealt(clips: Sequence[PlannedClip], settings: ShardSettings) -> list[tuple[PlannedClip, ...]]:
    parts: list[list[PlannedClip]] = []
    filled = 0.0
    for clip in clips:
        if (
            not parts
            or len(parts[-1]) == settings.clips
            or filled + clip.num_bytes > settings.megabytes * 1e6
        ):
            parts.append([])
            filled = 0
        parts[-1].append(clip)
        filled += clip.num_bytes
    return [tuple(part) for part in parts]
