"""Training and validation clips: from the files that say so, or held out."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from interlace.data.annotations import AnnotationError, Annotations, Sample, detect_format, read_annotations
from interlace.data.annotations.kinetics import splits_in
from interlace.data.annotations.read import find_file
from interlace.data.shards.folder import is_shard_folder, read_shards
from interlace.printable import printable

VAL_NAMES = ("val", "valid", "validation", "test")
"""Names of the validation file or folder in a data folder, the first that exists is taken."""


def read_splits(
    root: Path,
    train: Path | None = None,
    val: Path | None = None,
    *,
    format: str = "auto",
    labels: Path | None = None,
    val_fraction: float = 0.2,
    seed: int = 0,
    missing: Literal["raise", "skip"] = "raise",
    outside: bool = False,
) -> tuple[Annotations, Annotations]:
    r"""Training and validation clips with the same classes; ``source`` of each says how the split was made.

    The files given come first, then ``root/train.csv`` with ``root/val.csv``, then the folders ``root/train``
    and ``root/val`` (valid, validation or test may stand for val). A training file that holds both splits
    (kinetics, hmdb51) needs no second one. Else ``val_fraction`` of each class is held out, see
    :func:`hold_out`. Clips that stand in both are warned about, once for all. Shards say themselves what is in which
    split (:func:`interlace.data.shards.folder.read_shards`). ``outside`` is for
    :func:`interlace.data.annotations.read_annotations`.

    Raises:
        AnnotationError: as :func:`read_annotations`; a validation clip of a class without a training clip;
            validation files without training files.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.data.splits import read_splits
        >>> root = Path(tempfile.mkdtemp())
        >>> lines = [f"{name}{i}.mp4,{name}" for name in ("run", "walk") for i in range(10)]
        >>> for line in lines:
        ...     (root / line.split(",")[0]).touch()
        >>> _ = (root / "train.csv").write_text("\n".join(["path,label", *lines]))
        >>> train, val = read_splits(root)
        >>> len(train), len(val)
        (16, 4)
    """
    if is_shard_folder(root):
        if train is not None or val is not None or labels is not None or format != "auto":
            raise AnnotationError(
                f"{root}: shards bring their labels and splits; give no annotation files or format"
            )
        return read_shards(root)

    def read(
        file: Path | None, split: str | None = None, classes: tuple[str, ...] | None = None
    ) -> Annotations:
        return read_annotations(
            root,
            file,
            format=format,
            labels=labels,
            split=split,
            classes=classes,
            missing=missing,
            outside=outside,
        )

    train_file, val_file = find_split_files(root, train, val)
    if val_file is not None:
        training = read(train_file)
        validation = read(val_file, classes=training.classes)
    elif holds_both(train_file or root, format):
        training = read(train_file, "train")
        validation = read(train_file, "val", training.classes)
    else:
        training, validation = hold_out(read(train_file), fraction=val_fraction, seed=seed, root=root)
    multi_label = training.multi_label or validation.multi_label
    training, validation = (replace(part, multi_label=multi_label) for part in (training, validation))
    _warn_of_overlap(training, validation)
    return training, validation


def find_split_files(
    root: Path, train: Path | None = None, val: Path | None = None
) -> tuple[Path | None, Path | None]:
    """Where the two splits stand; None for a split that has no file or folder of its own."""
    if not root.is_dir():
        raise AnnotationError(f"{root}: there is no such folder; give the folder of the videos")
    default = root / "train.csv" if (root / "train.csv").is_file() else None
    if train is not None or val is not None:
        if train is None and default is None:
            raise AnnotationError(f"{val}: validation clips are given, but no training clips; give both")
        train_file = default if train is None else find_file(train, root)
        val_file = None if val is None else find_file(val, root)
        return train_file, None if val_file == train_file else val_file
    if default is not None:
        return default, next(filter(Path.is_file, (root / f"{name}.csv" for name in VAL_NAMES)), None)
    val_folder = next(filter(Path.is_dir, (root / name for name in VAL_NAMES)), None)
    folders = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if "train" in folders and (val_folder or folders == ["train"]):
        return root / "train", val_folder
    return None, None


def holds_both(file: Path, format: str = "auto") -> bool:
    """Whether a file says of each clip to which split it belongs."""
    found = detect_format(file) if format == "auto" else format
    return found == "hmdb51" or (found == "kinetics" and {"train", "val"} <= splits_in(file))


def hold_out(
    annotations: Annotations, *, fraction: float, seed: int = 0, root: Path | None = None
) -> tuple[Annotations, Annotations]:
    """Hold out a part of each class, chosen by a hash of the seed and the clip's path below ``root``.

    The same files give the same split on every machine, in any order. A class of two clips or more has at
    least one on both sides; a single clip goes to training, and ``source`` says so. A clip of several classes
    is counted with its rarest one, and no class is left without a training clip. Clips that come from one
    recording may part: give files for the splits where that matters.

    Raises:
        AnnotationError: no class has two clips, so that nothing can be held out.
        ValueError: a fraction outside 0 to 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"val_fraction={fraction} must lie between 0 and 1, e.g. 0.2")
    counts = annotations.class_counts
    members: dict[int, list[int]] = defaultdict(list)
    for i, sample in enumerate(annotations.samples):
        members[min(sample.labels, key=lambda label: (counts[label], label))].append(i)
    held: set[int] = set()
    for indices in members.values():
        number = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        held.update(sorted(indices, key=lambda i: _rank(annotations.samples[i], seed, root))[:number])
    _keep_every_class_in_training(annotations, held)
    if not held:
        raise AnnotationError(
            f"{annotations.source}: no class has two clips, nothing can be held out; give validation files"
        )
    single = [name for name, count in zip(annotations.classes, counts, strict=True) if count == 1]
    told = f"; only in training, because they have one clip: {', '.join(single)}" if single else ""
    how = f"{fraction:.0%} of each class held out clip by clip (seed {seed}){told}"
    everything = range(len(annotations))
    return (
        annotations.subset(
            [i for i in everything if i not in held], f"{annotations.source}; without the {how}"
        ),
        annotations.subset([i for i in everything if i in held], f"{annotations.source}; the {how}"),
    )


def _rank(sample: Sample, seed: int, root: Path | None) -> bytes:
    path = sample.path
    if root is not None and path.is_relative_to(root):
        path = path.relative_to(root)
    name = f"{seed} {path.as_posix()} {sample.start_seconds} {sample.end_seconds}"
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape")).digest()


def clip_hashes(annotations: Annotations, root: Path) -> list[str]:
    """A short hash of each clip's path below ``root`` and of its bounds: the same wherever the folder lies.

    Ten hexadecimal digits: a million clips against ten thousand others meet by chance once in a hundred times.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Annotations, Sample
        >>> from interlace.data.splits import clip_hashes
        >>> clips = [Annotations((Sample(Path(root, "a.mp4"), (0,)),), ("run",), "") for root in ("x", "y")]
        >>> clip_hashes(clips[0], Path("x")) == clip_hashes(clips[1], Path("y"))
        True
    """
    folder = os.path.abspath(root)  # noqa: PTH100 - a million clips, no look at the disk
    hashes = []
    for sample in annotations.samples:
        path = _key(sample)
        if path.startswith(folder + os.sep):
            path = path[len(folder) + 1 :].replace(os.sep, "/")
        name = f"{path} {sample.start_seconds} {sample.end_seconds}"
        hashes.append(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10])
    return hashes


def trained_on(
    annotations: Annotations, training: Collection[Mapping[str, Any]], root: Path | None = None
) -> list[int]:
    """Indices of the clips that networks were trained on, by what their cards say of their training.

    A clip is known by its path below ``root``, and below the folder that training had.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Annotations, Sample
        >>> from interlace.data.splits import clip_hashes, trained_on
        >>> clips = Annotations((Sample(Path("x/a.mp4"), (0,)), Sample(Path("x/b.mp4"), (0,))), ("run",), "")
        >>> card = {"data": "/before", "clips": clip_hashes(clips, Path("x"))[1:]}
        >>> trained_on(clips, [card], Path("x"))
        [1]
    """
    found: set[int] = set()
    for card in training:
        seen = set(card.get("clips", ()))
        roots = [*([] if root is None else [root]), *([Path(card["data"])] if "data" in card else [])]
        for folder in roots if seen else ():
            found.update(i for i, name in enumerate(clip_hashes(annotations, folder)) if name in seen)
    return sorted(found)


def _keep_every_class_in_training(annotations: Annotations, held: set[int]) -> None:
    """Matters for multi-label clips only: a class may occur beside rarer ones in held-out clips alone."""
    in_training = Counter(
        label for i, sample in enumerate(annotations.samples) if i not in held for label in sample.labels
    )
    for i in sorted(held):
        labels = annotations.samples[i].labels
        if any(in_training[label] == 0 for label in labels):
            held.remove(i)
            in_training.update(labels)


def _warn_of_overlap(training: Annotations, validation: Annotations) -> None:
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in training.samples:
        spans[_key(sample)].append(_span(sample))
    both = [
        sample.path
        for sample in validation.samples
        for start, end in spans.get(_key(sample), ())
        if start < _span(sample)[1] and _span(sample)[0] < end
    ]
    both = list(dict.fromkeys(both))
    if both:
        more = ", ..." if len(both) > 3 else ""
        warnings.warn(
            f"{len(both)} of {len(validation)} validation clips are in training too, so "
            "the score will be too good: "
            f"{printable(', '.join(map(str, both[:3])))}{more}; take them out of one "
            f"({training.source} | {validation.source})",
            stacklevel=3,
        )


def _key(sample: Sample) -> str:
    return os.path.abspath(sample.path)  # noqa: PTH100 - a million clips, no look at the disk


def _span(sample: Sample) -> tuple[float, float]:
    end = float("inf") if sample.end_seconds is None else sample.end_seconds
    return sample.start_seconds or 0.0, end


def group_folds(labels: Sequence[int], groups: Sequence[str], num_folds: int) -> list[list[int]]:
    """Indices of each fold; a group stays in one fold, every fold gets about the same number of each class.

    Groups are placed from the largest to the smallest, each where it leaves the classes most even.

    Raises:
        ValueError: fewer groups than folds, or fewer than two folds.

    Example:
        >>> from interlace.data.splits import group_folds
        >>> group_folds([0, 0, 1, 1, 0, 1], ["a", "a", "b", "b", "c", "d"], num_folds=2)
        [[0, 1, 5], [2, 3, 4]]
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    if not 2 <= num_folds <= len(members):
        raise ValueError(f"num_folds={num_folds} must be 2 to {len(members)}, the number of groups")
    folds: list[list[int]] = [[] for _ in range(num_folds)]
    counts: list[Counter[int]] = [Counter() for _ in range(num_folds)]
    for group in sorted(members, key=lambda group: (-len(members[group]), group)):
        own = Counter(labels[i] for i in members[group])
        # adding to fold f changes the sum of squared class counts by 2 counts own + own^2; own^2 is common
        fold = min(
            range(num_folds), key=lambda f: (sum(counts[f][c] * n for c, n in own.items()), len(folds[f]), f)
        )
        folds[fold] += members[group]
        counts[fold].update(own)
    return [sorted(fold) for fold in folds]
