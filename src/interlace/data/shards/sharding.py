"""The whole job: plan, write what is not there, index. Killed at any point, the same call goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from interlace.data.annotations import Annotations
from interlace.data.shards.index import FILE, Shard, ShardIndex, read_index, shard_from_json, shard_to_json
from interlace.data.shards.place import as_folder, as_url
from interlace.data.shards.plan import PlannedShard, ShardSettings, plan_shards
from interlace.data.shards.storage import Storage, open_storage
from interlace.data.shards.write import tar_writer, write_shard

BEGUN = "sharding.json"
"""There while shards are written: what is being written."""
SKIPPED = "skipped.csv"
Progress = Callable[[int, int, str], None]


def shard_clips(
    train: Annotations,
    val: Annotations,
    root: Path,
    output: str | Path,
    settings: ShardSettings,
    *,
    on_error: Literal["raise", "skip"] = "raise",
    num_workers: int = 4,
    progress: Progress | None = None,
) -> tuple[ShardIndex, int]:
    """Write the clips of two splits as shards; returns their index, and how many shards were there already.

    A shard is put whole, then what it holds as SHARD.json; index.json comes last and makes these superfluous.
    The bytes of every file depend on the clips and the settings alone.

    Args:
        train: training clips.
        val: validation clips, with the same classes.
        root: folder of the data set; clips are named by their paths below it.
        output: another folder, or the URL of one.
        settings: how clips are spread.
        on_error: raise at a clip that cannot be read, or leave it out and list it.
        num_workers: shards that are written at a time.
        progress: called with (shards done, shards in all, name of the one done).

    Raises:
        ValueError: the output holds other shards, or is the data folder; a clip cannot be read.
        StorageError: the output cannot be written to.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.shards.plan import ShardSettings
        >>> from interlace.data.shards.sharding import shard_clips
        >>> from interlace.data.splits import read_splits
        >>> clips = read_splits(Path("clips"))  # doctest: +SKIP
        >>> index, there = shard_clips(*clips, Path("clips"), "s3://bucket/clips", ShardSettings())  # doctest: +SKIP
    """
    if as_url(output) is None and as_folder(output).resolve() == root.resolve():
        raise ValueError(f"{output}: shards need a folder of their own, outside of the videos'")
    storage = open_storage(output)
    tar_writer()  # if it is not installed, nothing is begun
    planned, missing = plan_shards(train, val, root, settings, on_error=on_error)
    about: dict[str, Any] = {"settings": asdict(settings), "plan": _fingerprint(planned, train, settings)}
    finished = _finished(storage, planned, about)
    waiting = [shard for shard in planned if shard.name not in finished]
    there = len(finished)

    def write(shard: PlannedShard) -> Shard:
        written = write_shard(shard, storage, train.classes, on_error=on_error)
        record = {"fingerprint": shard.fingerprint(), "shard": json.loads(shard_to_json(written))}
        storage.write(_record(shard.name), json.dumps(record).encode())
        return written

    pool = ThreadPoolExecutor(max(1, num_workers))
    try:
        jobs = [pool.submit(write, shard) for shard in waiting]
        for job in as_completed(jobs):
            shard = job.result()
            finished[shard.name] = shard
            if progress is not None:
                progress(len(finished), len(planned), storage.path_of(shard.name))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C: what is being written is finished
    index = ShardIndex(
        classes=train.classes,
        multi_label=train.multi_label,
        settings=about["settings"],
        sources={"train": train.source, "val": val.source},
        plan=about["plan"],
        shards=tuple(finished[shard.name] for shard in planned),
        missing=missing,
    )
    if index.left_out:
        storage.write(SKIPPED, _table(index.left_out).encode("utf-8", "surrogateescape"))
    content = index.to_json().encode()
    if there < len(planned) or storage.size(FILE) != len(content):
        storage.write(FILE, content)
    for name in [*(_record(shard.name) for shard in planned), BEGUN]:
        storage.remove(name)
    return index, there


def _fingerprint(planned: tuple[PlannedShard, ...], train: Annotations, settings: ShardSettings) -> str:
    told = asdict(settings), train.classes, train.multi_label, [shard.fingerprint() for shard in planned]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _table(left_out: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "reason"])
    table.writerows(left_out)
    return text.getvalue()


def _record(name: str) -> str:
    return f"{name}.json"


def _finished(storage: Storage, planned: tuple[PlannedShard, ...], about: dict[str, Any]) -> dict[str, Shard]:
    """The planned shards that are there, by name."""
    finished: dict[str, Shard] = {}
    if storage.size(FILE) is not None:
        index = read_index(storage)
        _require_same(storage, index.plan, index.settings, about)
        finished = {shard.name: shard for shard in index.shards}
    elif storage.size(BEGUN) is None:
        storage.write(BEGUN, json.dumps(about).encode())
    else:
        begun = json.loads(storage.read(BEGUN))
        _require_same(storage, begun["plan"], begun["settings"], about)
        for shard in planned:
            if storage.size(_record(shard.name)) is not None:
                record = json.loads(storage.read(_record(shard.name)))
                if record["fingerprint"] == shard.fingerprint():
                    finished[shard.name] = shard_from_json(record["shard"])
    return {name: shard for name, shard in finished.items() if storage.size(name) == shard.num_bytes}


def _require_same(storage: Storage, plan: str, settings: dict[str, Any], about: dict[str, Any]) -> None:
    if plan != about["plan"]:
        changed = [
            f"{name} was {settings.get(name)!r} and is {value!r} now"
            for name, value in about["settings"].items()
            if settings.get(name) != value
        ]
        what = "; ".join(changed) or "the clips, their labels or their sizes are not the same"
        raise ValueError(
            f"{storage.path_of('')}: it holds other shards ({what}); choose another place, or delete what is there"
        )
