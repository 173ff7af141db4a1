"""Which clips a verb is about, where the command line names only a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations, read_annotations
from interlace.data.shards.folder import is_shard_folder, read_shards
from interlace.data.splits import VAL_NAMES, find_split_files, hold_out, holds_both, read_splits, trained_on
from interlace.data.video import find_videos


def evaluation_clips(
    data: Path,
    annotations: Path | None,
    *,
    card: ModelCard,
    format: str = "auto",
    labels: Path | None = None,
    missing: Literal["raise", "skip"] = "raise",
    outside: bool = False,
) -> Annotations:
    """The clips to score a checkpoint on, with the checkpoint's classes.

    Those of an annotation file if one is given; else those of the validation list that training had, of val.csv or
    test.csv, or of a folder of such a name. Where there is none, the clips of the folder that training held
    out, wherever the folder lies now; and in a folder that training never saw, all. Of shards, their validation clips.
    """
    if is_shard_folder(data):
        if annotations is not None or labels is not None or format != "auto":
            raise ValueError(
                f"{data}: shards bring their labels and splits; give no annotation file or format"
            )
        return read_shards(data, classes=card.labels)[1]
    split = card.training.get("split", {}) if annotations is None else {}
    trained_here = bool(split) and card.training.get("data") == str(data.resolve())
    train: Path | None = None
    if trained_here:
        format = split["format"] if format == "auto" else format
        labels = _path(split["labels"]) if labels is None else labels
        train, annotations = find_split_files(data, _path(split["train"]), _path(split["val"]))
    elif annotations is None:
        found = [data / f"{name}{ending}" for name in VAL_NAMES for ending in (".csv", "")]
        annotations = next((path for path in found if path.exists()), None)
        train = None if annotations is not None else find_split_files(data)[0]

    inside = "val" if annotations is None and holds_both(train or data, format) else None
    clips = read_annotations(
        data,
        annotations or train,
        format=format,
        labels=labels,
        split=inside,
        classes=card.labels,
        missing=missing,
        outside=outside,
    )
    if annotations is not None or inside is not None:
        return clips
    if trained_here and "clips" not in card.training:
        return hold_out(clips, fraction=split["val_fraction"], seed=card.training["seed"], root=data)[1]
    return _held_out(clips, data, card)


def _held_out(clips: Annotations, data: Path, card: ModelCard) -> Annotations:
    """The clips of a folder that the network was not trained on; all, if that leaves none or takes none.

    In an unchanged folder these are the held-out part that training validated on; clips added since are new too.
    """
    trained = set(trained_on(clips, [card.training], data))
    if not trained or len(trained) == len(clips):
        return clips
    source = f"{clips.source}; without the {len(trained)} clips of the training"
    return clips.subset([i for i in range(len(clips)) if i not in trained], source)


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def all_clips(
    data: Path,
    annotations: Path | None,
    *,
    format: str = "auto",
    labels: Path | None = None,
    outside: bool = False,
) -> Annotations | list[Path]:
    """All labelled clips of a data set, both splits; or, in a folder without labels, all its videos."""
    if is_shard_folder(data):
        raise ValueError(
            f"{data}: check the files that the shards were made of; `interlace shard --verify` checks shards"
        )
    if annotations is not None:
        return read_annotations(data, annotations, format=format, labels=labels, outside=outside)
    if not _has_labels(data, format):
        return find_videos(data)
    if not any((data / name).exists() for name in ("train.csv", "train")):
        return read_annotations(data, format=format, labels=labels, outside=outside)
    train, val = read_splits(data, format=format, labels=labels, outside=outside)
    both = tuple(dict.fromkeys((*train.samples, *val.samples)))
    return replace(train, samples=both, source=f"training and validation clips of {data}")


def _has_labels(data: Path, format: str) -> bool:
    """Whether there is a list of clips, or a folder per class and no video beside these folders."""
    if format != "auto" or (data / "train.csv").exists():
        return True
    return all(video.parent != data for video in find_videos(data))
