"""When a video's first frame is shown on the clock of its file, which its sound goes by as well."""

from __future__ import annotations

from pathlib import Path

from interlace.data.frame_index import frames_of, index_by_packets
from interlace.data.tracks import open_track


def first_frame_seconds(path: str | Path) -> float:
    """The time stamp of the frame that :func:`interlace.data.video.open` has at 0 s, in seconds.

    Most files begin at 0; transport streams, cut files and those with an edit list need not.

    Raises:
        VideoError: missing, empty, not a video, without a video track.

    Example:
        >>> from interlace.data.first_frame import first_frame_seconds
        >>> first_frame_seconds("recorded.ts")  # doctest: +SKIP
        1.4
    """
    path = Path(path)
    container, stream = open_track(path, 1)
    with container:
        index = index_by_packets(container, stream)
    if index is not None:
        times = index.pts or []
    else:
        container, stream = open_track(path, 1, probe=True)
        with container:
            first = next(frames_of(container, stream, []), None)
        times = [] if first is None or first.pts is None else [first.pts]
    return float(times[0] * stream.time_base) if times and stream.time_base is not None else 0.0
