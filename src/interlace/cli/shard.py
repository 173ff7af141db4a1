"""`interlace shard DATA OUT`."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Literal

from interlace.cli.parser import complain, in_options, parse
from interlace.cli.progress import bar_of_videos


def run(arguments: list[str]) -> int:
    """Write a data set as shards."""
    return shard(**parse("shard", shard, arguments))


def shard(
    data: Path,
    out: Path,
    *,
    train: Path | None = None,
    val: Path | None = None,
    format: str = "auto",
    labels: Path | None = None,
    val_fraction: float = 0.2,
    clips: int = 10_000,
    megabytes: float = 256.0,
    seed: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
    num_workers: int = 4,
    verify: bool = False,
    allow_outside: bool = False,
) -> int:
    """Write the labelled clips of a data set as WebDataset shards: a few large files that are read front to back.

    Both splits are written, as `interlace train` finds them or holds them out; train and evaluate read OUT like DATA.
    Files are copied as they are. Interrupted at any point, the same command goes on. index.json comes last.
    The exit status is 1 if a clip had to be left out, or if a shard is not what the index says.

    Args:
        data: Folder of the videos.
        out: Folder that receives the shards, or a URL: s3://bucket/folder, gs://..., whatever fsspec has a package for.
        train: Annotation file of the training videos; found by itself if it is train.csv in the data folder.
        val: Annotation file of the validation videos; without one, val_fraction of each class is held out.
        format: auto, folder, csv, kinetics, tsn, something_v1, something_v2, jester, ucf101 or hmdb51.
        labels: File with the class names, where the format has one.
        val_fraction: Part of each class that is held out where there is no validation file.
        clips: Most clips of a shard.
        megabytes: Size of a shard, unless one clip is larger.
        seed: Of the order in which clips are dealt to shards, and of what is held out.
        on_error: What to do with a clip that cannot be read; skipped ones are listed in OUT/skipped.csv.
        num_workers: Shards that are written at a time.
        verify: Afterwards, or if all is written already, read every shard back and compare its checksum.
        allow_outside: Take clips that a list names outside of the data folder, by absolute paths or "..".
    """
    from interlace.data.shards.plan import ShardSettings
    from interlace.data.shards.sharding import shard_clips
    from interlace.data.shards.storage import open_storage
    from interlace.data.shards.verify import verify_shards
    from interlace.data.splits import read_splits

    storage = open_storage(out)
    split = read_splits(
        data,
        train,
        val,
        format=format,
        labels=labels,
        val_fraction=val_fraction,
        seed=seed,
        missing=on_error,
        outside=allow_outside,
    )
    if split[0].store is not None:
        raise ValueError(f"{data}: these are shards already; give the folder of the videos")
    try:
        with bar_of_videos("writing shards") as report:
            index, there = shard_clips(
                *split,
                data,
                out,
                ShardSettings(clips, megabytes, seed),
                on_error=on_error,
                num_workers=num_workers,
                progress=lambda done, total, name: report(done, total, Path(name)),
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{storage.place} keeps what is whole, the same command goes on") from stop
    num_clips = Counter(dict.fromkeys(("train", "val"), 0))
    for written in index.shards:
        num_clips[written.split] += len(written.clips)
    gigabytes = sum(written.num_bytes for written in index.shards) / 1e9
    print(
        f"{storage.place}: {num_clips['train']} training and {num_clips['val']} validation clips of "
        f"{len(index.classes)} classes in {len(index.shards)} shards, {gigabytes:.3g} GB; "
        f"{there} shards were there already"
    )
    problems = []
    if verify:
        with bar_of_videos("verifying shards") as report:
            problems = list(
                verify_shards(storage, index, lambda done, total, name: report(done, total, Path(name)))
            )
        for problem in problems:
            print(problem)
        if not problems:
            print(f"verified: all {len(index.shards)} shards are what index.json says")
    if problems:
        return complain(f"{len(problems)} of {len(index.shards)} shards are damaged (listed above)", status=1)
    print(f"train on it: interlace train {shlex.quote(storage.place)}")
    if index.left_out:
        for _, reason in index.left_out[:10]:
            print(f"left out {in_options(reason)}")
        return complain(
            f"{len(index.left_out)} clips are left out, see {storage.path_of('skipped.csv')}", status=1
        )
    return 0
