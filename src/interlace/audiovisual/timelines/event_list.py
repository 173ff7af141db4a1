"""A list of events in video files: CSV of path, event, start and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Bool
from torch import Tensor

from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import csv_records

HEADER = ("path", "event", "start", "end")
# Of a second: keeps half of 0.1 + 0.2 from being more than 0.15.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Region:
    """A line of the list: from when to when the event is both seen and heard."""

    start_seconds: float
    end_seconds: float
    """Infinity: to the end of the video."""
    line: int


@dataclass(frozen=True)
class ListedVideo:
    """All lines of one video."""

    path: str
    """Relative to the folder of the videos, with slashes."""
    event: str
    """Its name; empty for a video that is background from end to end."""
    regions: tuple[Region, ...]
    line: int
    """Where the video is first named."""


def read_event_list(file: Path) -> list[ListedVideo]:
    r"""Read ``path,event,start,end``, times in seconds; the header names the columns, others are passed over.

    - Several lines of one path are several regions of the same event.
    - An empty start is the video's start, an empty end its end.
    - An empty event says that the video is background only; it has no times.

    Raises:
        AnnotationError: FILE:LINE with what is wrong: no header, times that are none, two events in one video.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.audiovisual.timelines.event_list import read_event_list
        >>> file = Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = file.write_text("path,event,start,end\nyard/a.mp4,bark,2,4.5\nyard/b.mp4,,,\nyard/a.mp4,bark,7,8\n")
        >>> [(v.path, v.event, len(v.regions)) for v in read_event_list(file)]
        [('yard/a.mp4', 'bark', 2), ('yard/b.mp4', '', 0)]
    """
    records = csv_records(file)
    header = [cell.lower() for cell in records[0][1]] if records else []
    if not set(HEADER) <= set(header):
        found = ",".join(records[0][1]) if records else "nothing"
        expected = f"the header {','.join(HEADER)}{_commas(records[0][1] if records else [])}"
        raise malformed(file, records[0][0] if records else None, repr(found), expected)
    videos: dict[str, ListedVideo] = {}
    for line, cells in records[1:]:
        if any(cells[len(header) :]):
            raise malformed(
                file,
                line,
                f"{len(cells)} cells",
                f"{len(header)}, as in the header (a name with a comma in quotes)",
            )
        if len(cells) < len(header) and (commas := _commas(cells)):
            raise malformed(file, line, repr(",".join(cells)), f"{len(header)} cells{commas}")
        cells += [""] * (len(header) - len(cells))
        path, event, start, end = (cells[header.index(name)] for name in HEADER)
        video = _one_line(file, line, path, event, start, end)
        before = videos.get(video.path)
        if before is not None:
            if before.event != event:
                names = " and ".join(repr(name) if name else "background" for name in (before.event, event))
                raise malformed(
                    file,
                    line,
                    f"{names} in {video.path} (the first in line {before.line})",
                    "one event a video; cut it into one file for each event",
                )
            if not event:
                raise malformed(file, line, f"{video.path} once more", "one line for a background video")
            video = ListedVideo(video.path, event, before.regions + video.regions, before.line)
        videos[video.path] = video
    if not videos:
        raise malformed(file, None, "no video", "a line for each region of an event")
    return list(videos.values())


def relevant_segments(
    regions: Sequence[tuple[float, float]], num_segments: int, duration_seconds: float
) -> Bool[Tensor, " N"]:
    """The segments of which the regions cover at least half.

    ::

        segment       0    1    2    3
                   |----|----|----|----|
        regions        ======   ==            0.75 to 2.25, 2.4 to 2.7 s
                                              a quarter of 0, all of 1, 0.25 + 0.3 of 2, none of 3

    Segment k lasts from second k to k + 1, the last one no longer than the video. Regions may overlap.

    Example:
        >>> from interlace.audiovisual.timelines.event_list import relevant_segments
        >>> relevant_segments([(0.75, 2.25), (2.4, 2.7)], 4, 4.0)
        tensor([False,  True,  True, False])
    """
    relevant = []
    for k in range(num_segments):
        end = min(k + 1.0, duration_seconds) if duration_seconds > k else k + 1.0
        covered, reached = 0.0, float(k)
        for region_start, region_end in sorted(regions):
            begin, stop = max(region_start, reached), min(region_end, end)
            if stop > begin:
                covered, reached = covered + stop - begin, stop
        relevant.append(covered >= (end - k) / 2 - ROUNDING)
    return torch.tensor(relevant, dtype=torch.bool)


def _commas(cells: Sequence[str]) -> str:
    """A hint for cells that a spreadsheet has separated by something else."""
    return ", separated by commas" if any(mark in cell for cell in cells for mark in ";\t") else ""


def _one_line(file: Path, line: int, path: str, event: str, start: str, end: str) -> ListedVideo:
    relative = PurePosixPath(path.replace("\\", "/"))
    if not path or relative.is_absolute() or ".." in relative.parts:
        raise malformed(file, line, repr(path), "a path relative to the folder of the videos")
    if not event:
        if start or end:
            raise malformed(file, line, f"times {start!r} to {end!r} of no event", "an event, or no times")
        return ListedVideo(relative.as_posix(), "", (), line)
    begin = _seconds(file, line, start) if start else 0.0
    stop = _seconds(file, line, end) if end else math.inf
    if stop <= begin:
        raise malformed(file, line, f"start {begin:g} s and end {stop:g} s", "an end after the start")
    return ListedVideo(relative.as_posix(), event, (Region(begin, stop, line),), line)


def _seconds(file: Path, line: int, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise malformed(file, line, repr(text), "a time in seconds, from 0 on")
    return seconds
