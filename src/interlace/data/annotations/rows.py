"""From what a reader found in its file to Annotations: the one place where labels and files are looked up."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from interlace.data.annotations.class_names import nearest
from interlace.data.annotations.sample import AnnotationError, Annotations, Sample, malformed

MOST_CLASSES = 1_000_000
"""Of indices without names: each gets one, so an index that is damage would take all memory."""


@dataclass(frozen=True)
class Request:
    """What a reader is asked to read."""

    root: Path
    """Folder of the videos."""
    file: Path
    """The annotation file (a folder for the formats `folder` and `hmdb51`)."""
    label_names: tuple[str, ...] | None = None
    """Names from a label file that the user gave."""
    split: str | None = None
    known_classes: tuple[str, ...] | None = None
    """The classes that a network already has."""
    outside: bool = False
    """Clips may lie outside of the data root and of the file's own folder."""


@dataclass(frozen=True, slots=True)
class Row:
    """One clip as its line says it."""

    file: Path
    line: int | None
    places: tuple[Path, ...]
    """Where the clip may lie; the first that exists is taken."""
    labels: tuple[str | int, ...]
    """Names, or indices from 0."""
    start_seconds: float | None = None
    end_seconds: float | None = None
    num_frames: int | None = None


@dataclass(frozen=True)
class Parsed:
    """All rows of a file, and the class names if the format has them."""

    rows: list[Row]
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def to_annotations(
    parsed: Parsed, request: Request, format: str, missing: Literal["raise", "skip"]
) -> Annotations:
    """Look up every label and every file."""
    if not parsed.rows:
        split = "" if request.split is None else f" of the split {request.split!r}"
        raise malformed(request.file, None, f"no clip{split}", f"at least one, in the format {format!r}")
    classes = request.known_classes or parsed.classes or _classes_of(parsed.rows)
    index_of = {name: index for index, name in enumerate(classes)}
    exists = _listing()
    is_allowed = (lambda _: True) if request.outside else _within(request)
    samples: list[Sample] = []
    absent: list[Row] = []
    for row in parsed.rows:
        labels = tuple(sorted({_index(row, label, parsed.classes, index_of) for label in row.labels}))
        allowed = [place for place in row.places if is_allowed(place)]
        path = next(filter(exists, allowed), None)
        if path is None and (not allowed or any(map(exists, row.places))):
            raise _leaves(row, request)
        if path is None:
            absent.append(row)
        else:
            samples.append(Sample(path, labels, row.start_seconds, row.end_seconds, row.num_frames))
    if absent and (missing == "raise" or not samples):
        raise _not_there(absent, len(parsed.rows), request.root)
    split = "" if request.split is None else f", split {request.split!r}"
    skipped = f", {len(absent)} more are not on disk" if absent else ""
    return Annotations(
        samples=tuple(samples),
        classes=classes,
        source=f"{format}: {request.file}{split}{skipped}",
        multi_label=any(len(row.labels) > 1 for row in parsed.rows),
        missing=tuple(row.places[0] for row in absent),
        notes=parsed.notes,
    )


def _classes_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Sorted names; for indices without names, the numbers themselves."""
    labels = {label for row in rows for label in row.labels}
    indices = [label for label in labels if isinstance(label, int)]
    if indices:
        if max(indices) >= MOST_CLASSES:
            row = next(row for row in rows if max(indices) in row.labels)
            raise malformed(row.file, row.line, f"label {max(indices)}", f"an index below {MOST_CLASSES}")
        return tuple(str(index) for index in range(max(indices) + 1))
    return tuple(sorted(str(label) for label in labels))


def _index(
    row: Row, label: str | int, format_classes: tuple[str, ...] | None, index_of: dict[str, int]
) -> int:
    if isinstance(label, int):
        num_classes = len(index_of) if format_classes is None else len(format_classes)
        if not 0 <= label < num_classes:
            expected = f"an index from 0 to {num_classes - 1} ({num_classes} classes)"
            raise malformed(row.file, row.line, f"label {label}", expected)
        if format_classes is None:
            return label
        label = format_classes[label]
    if label not in index_of:
        hint = nearest(label, tuple(index_of))
        expected = f"one of the {len(index_of)} known classes ({hint})"
        raise malformed(row.file, row.line, f"label {label!r}", expected)
    return index_of[label]


def _listing() -> Callable[[Path], bool]:
    """A test for existence that reads each folder once: many times quicker than asking for every file."""

    @cache
    def names_in(folder: str) -> frozenset[str]:
        return frozenset(os.listdir(folder)) if os.path.isdir(folder) else frozenset()  # noqa: PTH112, PTH208

    def exists(path: Path) -> bool:
        folder, name = os.path.split(path)
        return name in names_in(folder or ".")

    return exists


def _within(request: Request) -> Callable[[Path], bool]:
    """A test for paths that stay in the data root, or in the folder of the annotation file.

    A path that neither begins elsewhere nor goes up with ``..`` stays, whatever links the user has put there; of the
    others it counts where they really lead.
    """
    folders = (request.root, request.file if request.file.is_dir() else request.file.parent)
    real = [folder.resolve() for folder in folders]

    def is_within(path: Path) -> bool:
        if ".." not in path.parts and any(path.is_relative_to(folder) for folder in folders):
            return True
        resolved = path.resolve()
        return any(resolved.is_relative_to(folder) for folder in real)

    return is_within


def _leaves(row: Row, request: Request) -> AnnotationError:
    return malformed(
        row.file,
        row.line,
        f"{str(row.places[0])!r}, which lies outside of the data folder",
        f"a path below {request.root}; if you trust the list, allow it (allow_outside)",
    )


def _not_there(absent: list[Row], total: int, root: Path) -> AnnotationError:
    first = ", ".join(str(row.places[0]) for row in absent[:3])
    more = ", ..." if len(absent) > 3 else ""
    return malformed(
        absent[0].file,
        absent[0].line,
        f"a clip that is not on disk; {len(absent)} of {total} are missing: {first}{more}",
        f"the files under {root} (missing='skip' goes on without them)",
    )
