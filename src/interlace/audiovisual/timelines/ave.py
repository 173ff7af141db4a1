"""AVE with the features that its authors published: read row by row, never as a whole.

Source: Tian et al., Audio-Visual Event Localization in Unconstrained Videos, ECCV 2018, and its release.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from interlace.audiovisual.timelines.ave_annotations import AveEvent, read_ave_events, rows_of
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess
from interlace.audiovisual.timelines.split_names import require_split
from interlace.audiovisual.timelines.timeline import NO_EVENT, Timeline, TimelineSet, spans

ANNOTATIONS = "Annotations.txt"
LABELS = "labels.h5"
AUDIO = "audio_feature.h5"
VISUAL = "visual_feature.h5"
DATASET = "avadataset"
"""Name of the only dataset in each of the three files above; it is called so in the release."""
ORDER = "order"
"""Name of the dataset in train_order.h5, val_order.h5 and test_order.h5: indices of rows."""


def open_ave(folder: Path, split: str) -> TimelineSet:
    """A split of AVE (4143 videos of 10 s, 28 events; 3339 train, 402 val, 402 test).

    ::

        Annotations.txt      V lines     Category&VideoID&Quality&StartTime&EndTime, with or without that header
        labels.h5            (V, N, K+1) one-hot, background last; published V=4143, N=10, K=28
        audio_feature.h5     (V, N, A)   VGGish, A=128
        visual_feature.h5    (V, N, 7, 7, D) VGG-19 pool5, D=512; (V, N, D) without places is read too
        SPLIT_order.h5       indices of the split's rows; or SPLITSet.txt, lines of Annotations.txt

    Row v of each file is line v of Annotations.txt. The events' names stand nowhere but there, in the order in
    which they are first mentioned (it is not alphabetical); each column of labels.h5 is checked against it.
    Where the two files differ on one video, labels.h5 is followed and the timeline's ``notes`` say so. Rows
    without any event (the release has some, from 0 to 0 s) are background.

    Both tasks take the same splits; the release has order files of its own for its code of CML (SPLIT_order_match.h5),
    which are not read. The labels are read at once, features when a timeline is asked for.

    Raises:
        ValueError: h5py is not installed; a file is missing or damaged; shapes that do not fit; a segment
            without exactly one label, a row with two events, columns in another order; indices outside the
            rows, or twice. When a timeline is read: features that are not finite.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.timelines.ave import open_ave
        >>> open_ave(Path("AVE"), "test")  # doctest: +SKIP
        TimelineSet(402 timelines, 28 events, from AVE, test: 402 of 4143 rows)
    """
    require_split(split)
    for name in (ANNOTATIONS, LABELS, AUDIO, VISUAL):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder / name} is missing; AVE needs {ANNOTATIONS}, {LABELS}, {AUDIO}, {VISUAL} and the splits: "
                "download them from github.com/YapengTian/AVE-ECCV18"
            )
    events = [event for _, event in read_ave_events(folder / ANNOTATIONS)]
    categories = tuple(dict.fromkeys(event.category for event in events))
    classes = _read_classes(folder / LABELS, len(events), categories)
    num_rows, num_segments = classes.shape
    for name, dims in ((AUDIO, (3,)), (VISUAL, (3, 5))):
        shape = _shape(folder / name)
        if len(shape) not in dims or shape[:2] != (num_rows, num_segments) or 0 in shape:
            raise ValueError(
                f"{folder / name} holds {shape}, but {LABELS} has {num_rows} rows of {num_segments} segments; take "
                "features and labels of one release"
            )
        if len(shape) == 5 and shape[2] != shape[3]:
            raise ValueError(
                f"{folder / name} holds {shape}; places are expected before features, as in the published "
                "(4143, 10, 7, 7, 512)"
            )
    event = _event_of_rows(folder / LABELS, classes, categories)
    _check_names(folder / LABELS, event, events, categories)
    rows = _rows_of_split(folder, split, events)
    reader = AveReader(folder, tuple(rows), tuple(events), categories, event, classes < len(categories))
    source = f"{folder}, {split}: {len(rows)} of {num_rows} rows"
    return TimelineSet(categories, ReadOnAccess(len(rows), reader), source)


@dataclass(frozen=True, eq=False)
class AveReader:
    """Reads one timeline; opens the files anew each time, so that every process may use it."""

    folder: Path
    rows: tuple[int, ...]
    """Of the split, in its order."""
    events: tuple[AveEvent, ...]
    categories: tuple[str, ...]
    event: Int64[Tensor, " V"]
    relevant: Bool[Tensor, "V N"]

    def __call__(self, index: int) -> Timeline:
        """Timeline ``index`` of the split."""
        row = self.rows[index]
        visual = self._features(VISUAL, row)
        return Timeline(
            f"{self.events[row].video_id} (row {row})",
            self._features(AUDIO, row),
            visual.reshape(len(visual), -1, visual.shape[-1]),
            int(self.event[row]),
            self.relevant[row],
            self._notes(row),
        )

    def _features(self, name: str, row: int) -> Tensor:
        with _opened(self.folder / name, DATASET) as dataset:
            features = torch.from_numpy(np.asarray(dataset[row], dtype=np.float32))
        if not bool(torch.isfinite(features).all()):
            raise ValueError(
                f"{self.folder / name}: row {row} has features that are not finite; download the file again"
            )
        return features

    def _notes(self, row: int) -> tuple[str, ...]:
        said, relevant = self.events[row], self.relevant[row]
        seconds = torch.arange(len(relevant))
        agrees = torch.equal((seconds >= said.start_seconds) & (seconds < said.end_seconds), relevant)
        event = int(self.event[row])
        if agrees and event in (NO_EVENT, self.categories.index(said.category)):
            return ()
        found = (
            "background" if event == NO_EVENT else f"{self.categories[event]} in segments {spans(relevant)}"
        )
        return (
            f"{LABELS} has {found}, {ANNOTATIONS} {said.category} from {said.start_seconds:g} to "
            f"{said.end_seconds:g} s",
        )


def _read_classes(file: Path, num_rows: int, categories: tuple[str, ...]) -> Int64[Tensor, "V N"]:
    """The one-hot labels as indices; the last, len(categories), is background."""
    shape = _shape(file)
    if len(shape) != 3 or 0 in shape or shape[0] != num_rows or shape[2] != len(categories) + 1:
        raise ValueError(
            f"{file} holds {shape}, but {ANNOTATIONS} has {num_rows} lines of {len(categories)} events, which makes "
            f"({num_rows}, segments, {len(categories) + 1}); take both of one release"
        )
    with _opened(file, DATASET) as dataset:
        one_hot = torch.from_numpy(np.asarray(dataset[()], dtype=np.float32))
    wrong = ((one_hot != 0) & (one_hot != 1)).any(-1) | (one_hot.sum(-1) != 1)
    if bool(wrong.any()):
        row, segment = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"{file}: row {row}, segment {segment} is not one-hot: {int((one_hot[row, segment] != 0).sum())} labels "
            f"that sum to {float(one_hot[row, segment].sum()):g}; every segment has one event or background"
        )
    return one_hot.argmax(-1)


def _event_of_rows(
    file: Path, classes: Int64[Tensor, "V N"], categories: tuple[str, ...]
) -> Int64[Tensor, " V"]:
    background = len(categories)
    event = torch.where(classes < background, classes, NO_EVENT).amax(1)
    two = (classes < background) & (classes != event[:, None])
    if bool(two.any()):
        row, segment = two.nonzero()[0].tolist()
        raise ValueError(
            f"{file}: row {row} has two events, {categories[int(classes[row, segment])]} and "
            f"{categories[int(event[row])]}; a row is of one event and background, which is the last column"
        )
    return event


def _check_names(
    file: Path, event: Int64[Tensor, " V"], events: list[AveEvent], categories: tuple[str, ...]
) -> None:
    """Most rows of a column must be of the event that its name says: finds another order, or background first."""
    for column, name in enumerate(categories):
        rows = (event == column).nonzero().flatten().tolist()
        said = Counter(events[row].category for row in rows)
        if rows and said.most_common(1)[0][0] != name:
            raise ValueError(
                f"{file}: column {column} should be {name}, by the order in which {ANNOTATIONS} names the events, but "
                f"{said.most_common(1)[0][1]} of its {len(rows)} rows (the first is {rows[0]}) are of "
                f"{said.most_common(1)[0][0]} there; take both files of one release, background is the last column"
            )


def _rows_of_split(folder: Path, split: str, events: list[AveEvent]) -> list[int]:
    order, lines = folder / f"{split}_order.h5", folder / f"{split}Set.txt"
    if not order.is_file():
        if not lines.is_file():
            raise ValueError(
                f"neither {order} nor {lines.name} is there; one of them says what {split} is made of"
            )
        return rows_of(lines, events)
    with _opened(order, ORDER) as dataset:
        indices = np.asarray(dataset[()])
    if indices.ndim != 1 or len(indices) == 0 or not bool((indices % 1 == 0).all()):
        raise ValueError(
            f"{order} holds {indices.shape} of {indices.dtype}; a row of whole numbers is expected"
        )
    rows: list[int] = indices.astype(np.int64).tolist()
    seen: set[int] = set()
    for place, row in enumerate(rows):
        if not 0 <= row < len(events) or row in seen:
            why = (
                "is there twice"
                if row in seen
                else f"is not of the {len(events)} rows, 0 to {len(events) - 1}"
            )
            raise ValueError(f"{order}: entry {place}, row {row}, {why}; download the file again")
        seen.add(row)
    return rows


def _shape(file: Path) -> tuple[int, ...]:
    with _opened(file, DATASET) as dataset:
        return tuple(dataset.shape)


@contextmanager
def _opened(file: Path, name: str) -> Iterator[Any]:
    """One dataset of an HDF5 file."""
    try:
        h5py = import_module("h5py")  # not everyone's
    except ImportError as error:
        raise ValueError(f'HDF5 files need h5py ({error}): pip install "interlace[ave]"') from error
    try:
        with h5py.File(file, "r") as opened:
            if not isinstance(opened.get(name), h5py.Dataset):
                raise ValueError(
                    f"{file} has no dataset {name!r}; it holds {', '.join(opened) or 'nothing'}, expected the "
                    "file of the release"
                )
            if (
                opened[name].external
                or opened[name].is_virtual
                or opened[name].file.filename != opened.filename
            ):
                raise ValueError(
                    f"{file}: {name!r} lies in another file, which is not read; download it again"
                )
            if opened[name].dtype.kind not in "biuf":
                raise ValueError(f"{file}: {name!r} is of {opened[name].dtype}; numbers are expected")
            yield opened[name]
    except OSError as error:
        raise ValueError(f"{file} cannot be read as HDF5 ({error}); download it again") from error
