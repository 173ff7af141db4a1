"""What every annotation file is read into: clips with their labels, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from interlace.data.reader import VideoReader
    from interlace.data.shards.runs import RunTable


class AnnotationError(ValueError):
    """Something is wrong with an annotation file: FILE:LINE, what was found, what was expected."""


def malformed(file: Path, line: int | None, found: str, expected: str) -> AnnotationError:
    """The error for one line of a file; ``line`` counts from 1, None means the whole file."""
    where = f"{file}" if line is None else f"{file}:{line}"
    return AnnotationError(f"{where}: found {found}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled clip: a video file or a folder of pictures, whole or from start to end."""

    path: Path
    labels: tuple[int, ...]
    """Class indices; exactly one unless the annotations are multi-label."""
    start_seconds: float | None = None
    end_seconds: float | None = None
    num_frames: int | None = None
    """Number of frames that a list file promises: frames 1..num_frames of a folder."""


@runtime_checkable
class ClipStore(Protocol):
    """Where clips are that are not in files of their own (:class:`interlace.data.shards.store.ShardStore`)."""

    def open(self, sample: Sample, **reading: Any) -> AbstractContextManager[VideoReader]:
        """The clip's video; ``reading``: arguments of :func:`interlace.data.video.open`."""

    def table(self, samples: Sequence[Sample]) -> RunTable:
        """Which of them lie together."""


@dataclass(frozen=True)
class Annotations:
    """Labelled clips and their class names.

    Raises:
        AnnotationError: a label outside the classes, no label, two labels where ``multi_label`` is off,
            a class name that occurs twice.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.annotations import Annotations, Sample
        >>> clips = (Sample(Path("a.mp4"), (1,)), Sample(Path("b.mp4"), (0,)), Sample(Path("c.mp4"), (1,)))
        >>> Annotations(clips, classes=("run", "walk"), source="by hand").class_counts
        (1, 2)
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    source: str
    """One line that says where the clips come from and how they were split."""
    multi_label: bool = False
    missing: tuple[Path, ...] = ()
    """Clips that the file names but that are not on disk (left out on request)."""
    notes: tuple[str, ...] = ()
    """What the user should know about the data, a line each."""
    store: ClipStore | None = field(default=None, compare=False, repr=False)
    """What opens the clips, where their paths are only names."""

    def __post_init__(self) -> None:
        if len(set(self.classes)) < len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            raise AnnotationError(f"{self.source}: found class names that occur twice: {twice}")
        num_classes = len(self.classes)
        for sample in self.samples:
            if not sample.labels or (len(sample.labels) > 1 and not self.multi_label):
                raise AnnotationError(
                    f"{sample.path}: found labels {sample.labels}, expected one label a clip"
                )
            if not 0 <= min(sample.labels) <= max(sample.labels) < num_classes:
                raise AnnotationError(
                    f"{sample.path}: found labels {sample.labels}, expected 0 to {num_classes - 1}: "
                    f"there are {num_classes} classes"
                )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Number of clips of each class, in the order of ``classes``."""
        counts = [0] * len(self.classes)
        for sample in self.samples:
            for label in sample.labels:
                counts[label] += 1
        return tuple(counts)

    def subset(self, indices: Sequence[int], source: str | None = None) -> Annotations:
        """The clips at ``indices``, with the same classes."""
        chosen = tuple(self.samples[i] for i in indices)
        return replace(self, samples=chosen, source=self.source if source is None else source)

    def __str__(self) -> str:
        kind = ", multi-label" if self.multi_label else ""
        return f"{len(self)} clips of {len(self.classes)} classes{kind} ({self.source})"
