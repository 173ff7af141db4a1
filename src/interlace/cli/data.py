"""Which clips a verb is about, where the command line names only a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations, read_annotations
from interlace.data.splits import VAL_NAMES, read_splits
from interlace.data.video import find_videos


def evaluation_clips(
    data: Path, annotations: Path | None, *, card: ModelCard, format: str = "auto", labels: Path | None = None
) -> Annotations:
    """The clips to score a checkpoint on, with the checkpoint's classes.

    Those of an annotation file if one is given; else, in the folder that the network was trained on, the clips that
    training validated on; else those of val.csv or test.csv, or of a folder of such a name; else all of the folder.
    """
    if annotations is None and card.training.get("data") == str(data.resolve()):
        split = card.training["split"]
        _, validation = read_splits(
            data,
            *(None if split[name] is None else Path(split[name]) for name in ("train", "val")),
            format=split["format"],
            labels=None if split["labels"] is None else Path(split["labels"]),
            val_fraction=split["val_fraction"],
            seed=card.training["seed"],
        )
        return validation
    if annotations is None:
        found = [data / f"{name}{ending}" for name in VAL_NAMES for ending in (".csv", "")]
        annotations = next((path for path in found if path.exists()), None)
    return read_annotations(data, annotations, format=format, labels=labels, classes=card.labels)


def all_clips(
    data: Path, annotations: Path | None, *, format: str = "auto", labels: Path | None = None
) -> Annotations | list[Path]:
    """All labelled clips of a data set, both splits; or, in a folder without labels, all its videos."""
    if annotations is not None:
        return read_annotations(data, annotations, format=format, labels=labels)
    if not _has_labels(data, format):
        return find_videos(data)
    if not any((data / name).exists() for name in ("train.csv", "train")):
        return read_annotations(data, format=format, labels=labels)
    train, val = read_splits(data, format=format, labels=labels)
    both = tuple(dict.fromkeys((*train.samples, *val.samples)))
    return replace(train, samples=both, source=f"training and validation clips of {data}")


def _has_labels(data: Path, format: str) -> bool:
    """Whether there is a list of clips, or a folder per class and no video beside these folders."""
    if format != "auto" or (data / "train.csv").exists():
        return True
    return all(video.parent != data for video in find_videos(data))
