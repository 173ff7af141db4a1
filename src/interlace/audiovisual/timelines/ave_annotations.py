"""The text files of the AVE release: which event is where in which video, and who is in which split."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from interlace.data.annotations.sample import malformed
from interlace.data.annotations.text import numbered_lines

COLUMNS = "Category&VideoID&Quality&StartTime&EndTime"
"""The first line of the release's Annotations.txt; the copy that comes with the features has none."""


@dataclass(frozen=True)
class AveEvent:
    """One line: an event of one video. A video with two events has two lines."""

    category: str
    video_id: str
    start_seconds: float
    end_seconds: float
    """Equal to the start in a few lines of the release: there the event is nowhere."""


def read_ave_events(file: Path) -> list[tuple[int, AveEvent]]:
    r"""(line number, event) of every line of Annotations.txt, trainSet.txt, valSet.txt or testSet.txt.

    Raises:
        AnnotationError: FILE:LINE with what is wrong.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.audiovisual.timelines.ave_annotations import read_ave_events
        >>> file = Path(tempfile.mkdtemp()) / "Annotations.txt"
        >>> _ = file.write_text("Category&VideoID&Quality&StartTime&EndTime\nBark&3jS8tWfLJxI&good&7&9\n")
        >>> read_ave_events(file)
        [(2, AveEvent(category='Bark', video_id='3jS8tWfLJxI', start_seconds=7.0, end_seconds=9.0))]
    """
    lines = numbered_lines(file)
    if lines and lines[0][1].lower() == COLUMNS.lower():
        lines = lines[1:]
    if not lines:
        raise malformed(file, None, "no events", f"lines of {COLUMNS}")
    events = []
    for number, line in lines:
        cells = [cell.strip() for cell in line.split("&")]
        try:
            category, video_id, _, start, end = cells
            times = float(start), float(end)
        except ValueError:
            raise malformed(file, number, repr(line), f"{COLUMNS}, times in seconds") from None
        if not category or not video_id or not 0 <= times[0] <= times[1] < math.inf:
            raise malformed(
                file, number, repr(line), f"{COLUMNS}, the start from 0 on, the end not before it"
            )
        events.append((number, AveEvent(category, video_id, *times)))
    return events


def rows_of(file: Path, events: list[AveEvent]) -> list[int]:
    """Where the lines of a split's file stand among ``events``; equal lines stand for different rows.

    Raises:
        AnnotationError: a line that is not among them, or more often than there.
    """
    places: dict[AveEvent, list[int]] = defaultdict(list)
    for row in reversed(range(len(events))):
        places[events[row]].append(row)
    rows = []
    for number, event in read_ave_events(file):
        if not places[event]:
            raise malformed(
                file,
                number,
                f"{event.category}&{event.video_id} from {event.start_seconds:g} to {event.end_seconds:g} s",
                "a line of Annotations.txt, not more often than there",
            )
        rows.append(places[event].pop())
    return rows
