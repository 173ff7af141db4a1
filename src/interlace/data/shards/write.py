"""One shard, as any WebDataset reader knows it: KEY.json and KEY.mp4, or KEY.json and a member for each picture."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from interlace.data.shards.index import Shard, ShardClip
from interlace.data.shards.plan import PlannedClip, PlannedShard
from interlace.data.shards.storage import Storage

PICTURE = "frame."
"""Before a picture's name: WebDataset's writer leaves out what begins with an underscore."""


def write_shard(
    planned: PlannedShard,
    storage: Storage,
    classes: Sequence[str],
    *,
    on_error: Literal["raise", "skip"] = "raise",
) -> Shard:
    """Write a shard, whole or not at all; the same clips give the same bytes. Files are copied as they are.

    Raises:
        ValueError: a clip's file cannot be read, or has changed since it was planned, under ``on_error="raise"``.
        StorageError: the shard cannot be put.
    """
    skipped: list[tuple[str, str]] = []
    with storage.writing(planned.name) as file:
        written = _write_tar(planned, file, classes, on_error, skipped)
        clips, sha256 = _measured(file, written)
        num_bytes = file.stat().st_size
    return Shard(planned.name, planned.split, num_bytes, sha256, clips, tuple(skipped))


def _write_tar(
    planned: PlannedShard,
    file: Path,
    classes: Sequence[str],
    on_error: Literal["raise", "skip"],
    skipped: list[tuple[str, str]],
) -> list[PlannedClip]:
    writer_of = tar_writer()
    written: list[PlannedClip] = []
    # GNU's format: names may be long. No time and no owner: the same clips give the same bytes.
    with (
        file.open("wb") as stream,
        writer_of(
            stream, encoder=False, mtime=0, mode=0o644, user="", group="", format="GNU_FORMAT"
        ) as writer,
    ):
        for clip in planned.clips:
            try:
                members = _members(clip, classes)
            except OSError as error:
                reason = f"{error.filename or clip.sample.path}: {error.strerror or error}"
                if on_error == "raise":
                    raise ValueError(f'{reason}; restore it, or leave it out with on_error="skip"') from error
                skipped.append((clip.path, reason))
            else:
                writer.write({"__key__": clip.key, **members})
                written.append(clip)
    return written


def tar_writer() -> Any:
    """The class that writes tar files.

    Raises:
        ValueError: webdataset is not installed.
    """
    try:
        from webdataset import TarWriter
    except ImportError as error:
        raise ValueError('shards are written by webdataset; pip install "interlace[shards]"') from error
    return TarWriter


def _members(clip: PlannedClip, classes: Sequence[str]) -> dict[str, bytes]:
    sample = clip.sample
    about = {
        "path": clip.path,
        "label": sample.labels[0],
        "labels": sample.labels,
        "classes": [classes[label] for label in sample.labels],
        "start_seconds": sample.start_seconds,
        "end_seconds": sample.end_seconds,
        "num_frames": promised_frames(clip),
    }
    members = {"json": json.dumps(about).encode()}
    for file in clip.files:
        name = PICTURE + file.name if clip.is_folder else file.suffix[1:].lower() or "video"
        members[name] = file.read_bytes()
    if sum(map(len, members.values())) - len(members["json"]) != clip.num_bytes:
        raise OSError("it changed while the shards were written")
    return members


def promised_frames(clip: PlannedClip) -> int | None:
    """Of a folder, where a list's number binds; a video knows its own number."""
    return clip.sample.num_frames if clip.is_folder else None


def _measured(file: Path, written: Sequence[PlannedClip]) -> tuple[tuple[ShardClip, ...], str]:
    """Where each clip lies in the tar file, read once from front to end."""
    ends: dict[str, int] = {}
    with tarfile.open(file, mode="r:") as tar:
        for member in tar:
            ends[member.name.partition(".")[0]] = member.offset_data + -(-member.size // 512) * 512
    digest, clips, first = hashlib.sha256(), [], 0
    with file.open("rb") as stream:
        for clip in written:
            content = stream.read(ends[clip.key] - first)
            digest.update(content)
            sample, end = clip.sample, ends[clip.key]
            bounds = sample.start_seconds, sample.end_seconds
            row = (clip.key, clip.path, sample.labels, *bounds, promised_frames(clip))
            clips.append(ShardClip(*row, first=first, end=end, crc32=zlib.crc32(content)))
            first = end
        digest.update(stream.read())
    return tuple(clips), digest.hexdigest()
