"""A set of timelines as one file: features from anywhere, of any lengths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from interlace.audiovisual.timelines.read_on_access import ReadOnAccess
from interlace.audiovisual.timelines.timeline import NO_EVENT, Timeline, TimelineSet
from interlace.files import whole_file

FORMAT = "interlace timelines 1"
FLOATS = {"F16", "BF16", "F32", "F64"}
"""Types of features, as .safetensors files name them."""


def save_timelines(path: Path, timelines: TimelineSet) -> None:
    """Write all timelines, one after another, to one .safetensors file.

    ::

        audio     float (S, A)      rows of all timelines: S is the sum of their lengths
        visual    float (S, P, D)
        relevant  bool  (S,)        T_E
        lengths   int64 (V,)        segments of each timeline
        event     int64 (V,)        index into the labels, -1 where there is none
        metadata  format="interlace timelines 1"; as JSON labels (a list), names (one a timeline) and, if wanted,
                  notes (a list a timeline) and source

    The whole set is in memory once. The file appears whole or not at all.

    Raises:
        ValueError: no timelines; one with other sizes than the first, with an event outside the labels or
            with features that are not finite.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from interlace.audiovisual import Timeline, TimelineSet
        >>> from interlace.audiovisual.timelines.timeline_file import load_timelines, save_timelines
        >>> bark = Timeline("bark.mp4", torch.rand(4, 128), torch.rand(4, 1, 512), 0, torch.ones(4).bool())
        >>> path = Path(tempfile.mkdtemp()) / "train.safetensors"
        >>> save_timelines(path, TimelineSet(("bark",), (bark,)))
        >>> load_timelines(path)[0]
        Timeline(bark.mp4, 4 segments, audio (4, 128), visual (4, 1, 512), event 0 at 0-3)
    """
    rows = list(timelines)
    if not rows:
        raise ValueError(f"{path}: there are no timelines to save")
    for timeline in rows:
        _check(path, timeline, rows[0], len(timelines.labels))
    metadata = {
        "format": FORMAT,
        "labels": json.dumps(timelines.labels),
        "names": json.dumps([timeline.name for timeline in rows]),
        "notes": json.dumps([timeline.notes for timeline in rows]),
        "source": json.dumps(timelines.source),
    }
    tensors = {
        "audio": torch.cat([timeline.audio for timeline in rows]).cpu(),
        "visual": torch.cat([timeline.visual for timeline in rows]).cpu(),
        "relevant": torch.cat([timeline.relevant for timeline in rows]).cpu(),
        "lengths": torch.tensor([timeline.num_segments for timeline in rows]),
        "event": torch.tensor([timeline.event for timeline in rows]),
    }
    with whole_file(path) as beside:
        beside.write_bytes(save(tensors, metadata))


def load_timelines(path: Path) -> TimelineSet:
    """What :func:`save_timelines` has written, or anybody else in the same layout.

    Features are read when a timeline is asked for.

    Raises:
        ValueError: the file is missing, damaged or of another kind; sizes, events or regions that do not fit.
            When a timeline is read: features that are not finite.
    """
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; write it with interlace.audiovisual.timelines.timeline_file.save_timelines"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            keys = set(file.keys())
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} is no file of timelines: its metadata has format {metadata.get('format')!r}, "
                    f"not {FORMAT!r}; write it with interlace.audiovisual.timelines.timeline_file.save_timelines"
                )
            if missing := {"audio", "visual", "relevant", "lengths", "event"} - keys:
                raise ValueError(f"{path} has no {', '.join(sorted(missing))}; write it again")
            parts = {name: file.get_slice(name) for name in ("audio", "visual")}
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
            types = {name: part.get_dtype() for name, part in parts.items()}
            relevant, lengths, event = (file.get_tensor(name) for name in ("relevant", "lengths", "event"))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole .safetensors file ({error}); write it again") from error
    if not set(types.values()) <= FLOATS:
        raise ValueError(
            f"{path}: audio is of {types['audio']} and visual of {types['visual']}; features are one of "
            f"{', '.join(sorted(FLOATS))}"
        )
    labels, names = (_list(path, metadata, key) for key in ("labels", "names"))
    metadata = {"notes": json.dumps([[]] * len(names)), "source": '""', **metadata}
    notes, source = (_list(path, metadata, key) for key in ("notes", "source"))
    _check_sizes(path, shapes, relevant, lengths, event, len(names), len(notes))
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path}: labels name an event twice; write the file again")
    for i, index in enumerate(event.tolist()):
        if not NO_EVENT <= index < len(labels):
            raise ValueError(f"{path}: {names[i]} has event {index}, but there are {len(labels)} labels")
    ends = lengths.cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if bool(relevant[start:end].any()) != (event[i].item() != NO_EVENT):
            raise ValueError(
                f"{path}: {names[i]} has event {int(event[i])} and {int(relevant[start:end].sum())} relevant "
                f"segments; {NO_EVENT} stands for no event, and has none"
            )
    reader = TimelineReader(
        path,
        tuple(names),
        tuple(tuple(note) for note in notes),
        tuple(zip(starts, ends, strict=True)),
        event,
        relevant,
    )
    return TimelineSet(tuple(labels), ReadOnAccess(len(names), reader), source or str(path))


@dataclass(frozen=True, eq=False)
class TimelineReader:
    """Reads one timeline of a file; opens it anew each time, so that every process may use it."""

    path: Path
    names: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]
    bounds: tuple[tuple[int, int], ...]
    """First row and the one after the last of each timeline."""
    event: Int64[Tensor, " V"]
    relevant: Bool[Tensor, " S"]

    def __call__(self, index: int) -> Timeline:
        """Timeline ``index`` of the file."""
        start, end = self.bounds[index]
        with safe_open(self.path, framework="pt") as file:
            # Their own memory: what a slice lies in is the mapping of the whole file.
            audio, visual = (file.get_slice(name)[start:end].clone() for name in ("audio", "visual"))
        _check_finite(self.path, self.names[index], audio, visual)
        return Timeline(
            self.names[index],
            audio,
            visual,
            int(self.event[index]),
            self.relevant[start:end],
            self.notes[index],
        )


def _check(path: Path, timeline: Timeline, first: Timeline, num_labels: int) -> None:
    for name in ("audio", "visual"):
        here, there = getattr(timeline, name).shape[1:], getattr(first, name).shape[1:]
        if here != there:
            raise ValueError(
                f"{path}: {timeline.name} has {name} features of {tuple(here)} a segment, {first.name} of "
                f"{tuple(there)}; a file holds features of one kind"
            )
    if timeline.event >= num_labels:
        raise ValueError(
            f"{path}: {timeline.name} has event {timeline.event}, but there are {num_labels} labels"
        )
    _check_finite(path, timeline.name, timeline.audio, timeline.visual)


def _check_finite(path: Path, name: str, audio: Tensor, visual: Tensor) -> None:
    if not bool(torch.isfinite(audio).all()) or not bool(torch.isfinite(visual).all()):
        raise ValueError(f"{path}: {name} has features that are not finite; make them again")


def _check_sizes(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    relevant: Tensor,
    lengths: Tensor,
    event: Tensor,
    num_names: int,
    num_notes: int,
) -> None:
    counts = {tuple(lengths.shape), tuple(event.shape), (num_names,), (num_notes,)}
    if len(counts) != 1 or num_names == 0 or lengths.dtype != torch.int64 or event.dtype != torch.int64:
        raise ValueError(
            f"{path}: {num_names} names, {num_notes} notes, lengths {tuple(lengths.shape)} and event "
            f"{tuple(event.shape)}; there must be one of each a timeline, the last two int64"
        )
    rows = {int(lengths.sum()), len(relevant), *(shape[0] for shape in shapes.values() if shape)}
    dims = (len(shapes["audio"]), len(shapes["visual"]), relevant.ndim)
    if len(rows) != 1 or dims != (2, 3, 1) or int(lengths.min()) < 1 or relevant.dtype != torch.bool:
        raise ValueError(
            f"{path}: audio {shapes['audio']}, visual {shapes['visual']} and {relevant.dtype} relevant "
            f"{tuple(relevant.shape)} for {int(lengths.sum())} segments; expected (S, A), (S, P, D) and bool (S,), S "
            "the sum of lengths, none below 1"
        )


def _list(path: Path, metadata: dict[str, str], key: str) -> Any:
    kind: type = str if key == "source" else list
    try:
        found = json.loads(metadata[key])
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: its metadata has no {key} in JSON ({error}); write the file again"
        ) from error
    parts: Sequence[Any] = found if isinstance(found, list) else ()
    inner = list if key == "notes" else str
    if not isinstance(found, kind) or not all(isinstance(part, inner) for part in parts):
        raise ValueError(f"{path}: {key} is {str(found)[:60]} in its metadata; write the file again")
    return found
