"""Decode every clip of a data set before training does, and say what is wrong or odd."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.check_report import CheckReport, ClipCheck
from interlace.data.dataset import usable_frames
from interlace.data.out_of_memory import is_out_of_memory
from interlace.data.reader import OnError, VideoError, VideoReader
from interlace.data.video import Flow
from interlace.modality import Modality

_OUTLIER = 4  # times longer or shorter, larger or smaller than usual
_FEWEST_FOR_OUTLIERS = 21  # of fewer clips none is an outlier
_FEWEST_FOR_COMMON = 8  # of fewer clips nothing is common


def check_videos(
    clips: Annotations | Sequence[Path | str],
    *,
    num_segments: int = 8,
    num_workers: int | None = None,
    on_error: OnError = "raise",
    frame_template: str | None = None,
    progress: bool = True,
    modality: Modality = "rgb",
    flow: Flow = "dis",
) -> CheckReport:
    """Decode every clip wholly, in parallel, and report what training would meet.

    ``on_error`` is the policy that training will have: it decides ``would_fail``, not what is reported.
    ``num_workers`` threads decode (default: one for each CPU that this process may use), one clip each at a
    time. The report lists clips in the order given. Of another ``modality`` than RGB each clip's frames or stored
    ``flow`` are read as training will.

    Example:
        >>> from interlace.data.check import check_videos
        >>> report = check_videos(["missing.mp4"], progress=False)
        >>> report.would_fail, report.unreadable[0].problem
        (True, 'missing.mp4: there is no such file; check the path')
    """
    if isinstance(clips, Annotations):
        samples, classes = list(clips.samples), clips.classes
    else:
        samples, classes = [Sample(Path(path), ()) for path in clips], ()
    one = partial(
        check_clip,
        classes=classes,
        num_segments=num_segments,
        frame_template=frame_template,
        modality=modality,
        flow=flow,
    )
    checks = _in_parallel(one, samples, num_workers or _num_cpus(), progress)
    common = _common_oddities(checks)
    checks = [check.without_oddities(common) for check in checks]
    return CheckReport(
        clips=tuple(_mark_duplicates(_mark_outliers(checks))),
        classes=classes,
        common=common,
        num_segments=num_segments,
        on_error=on_error,
    )


def check_clip(
    sample: Sample,
    *,
    classes: Sequence[str] = (),
    num_segments: int = 8,
    frame_template: str | None = None,
    modality: Modality = "rgb",
    flow: Flow = "dis",
) -> ClipCheck:
    """Decode one clip from its first to its last frame, keeping none."""
    labels = tuple(classes[label] for label in sample.labels)
    try:
        reading: dict[str, Any] = {"frame_template": frame_template, "modality": modality, "flow": flow}
        with video.open(sample.path, on_error="skip", **reading) as reader:
            reader.damaged_frames()
            middle = reader.frames_at([reader.num_frames // 2])[0]
            first, end = usable_frames(reader, sample)
            odd = _oddities(reader)
            if (
                modality == "rgb" and (middle.amax(0).int() - middle.amin(0).int()).max() <= 2
            ):  # what YUV rounding makes of grey
                odd.append("grey")
            return ClipCheck(
                path=sample.path,
                labels=labels,
                status="damaged" if reader.is_damaged else "ok",
                problem=f"{sample.path}: {'; '.join(reader.notes)}" if reader.is_damaged else "",
                num_frames=end - first,
                height=reader.height,
                width=reader.width,
                fps=reader.fps,
                duration_seconds=reader.duration_seconds,
                short=end - first < num_segments,
                odd=tuple(odd) if reader.is_damaged else (*reader.notes, *odd),
            )
    except VideoError as error:
        return ClipCheck(path=sample.path, labels=labels, status="unreadable", problem=str(error))
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        problem = (
            f"{sample.path}: out of memory while decoding it, which says nothing of the file; check it again "
        )
        return ClipCheck(
            path=sample.path, labels=labels, status="unreadable", problem=f"{problem}with --num_workers 1"
        )


def _oddities(reader: VideoReader) -> list[str]:
    if reader.num_frames == 1:
        return ["one frame"]
    gaps = reader.pts_seconds.diff()
    typical = gaps.median()
    uneven = ((gaps < typical / 1.5) | (gaps > typical * 1.5)).any()
    return ["variable frame rate"] if uneven else []


def _in_parallel(
    one: Callable[[Sample], ClipCheck], samples: list[Sample], num_workers: int, progress: bool
) -> list[ClipCheck]:
    """Threads do, as FFmpeg works outside the interpreter lock; an interrupt drops what has not begun."""
    pool = ThreadPoolExecutor(max(1, num_workers))
    try:
        results = pool.map(one, samples)
        console = Console(stderr=True)
        hidden = not (progress and console.is_terminal)
        with Progress(console=console, disable=hidden, transient=True) as bar:
            return list(bar.track(results, total=len(samples), description="decoding"))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _common_oddities(checks: list[ClipCheck]) -> tuple[str, ...]:
    """What more than half of the clips share is no oddity of one of them."""
    counts = Counter(oddity for check in checks for oddity in check.odd)
    is_few = len(checks) < _FEWEST_FOR_COMMON
    return tuple(name for name, count in counts.items() if count > len(checks) / 2 and not is_few)


def _mark_outliers(checks: list[ClipCheck]) -> list[ClipCheck]:
    """Add a note to clips much longer, shorter, larger or smaller than usual in their class, or in all."""
    read = [check for check in checks if check.status != "unreadable"]
    classes = defaultdict(list)
    for check in read:
        classes[check.labels].append(check)
    of_all = _usual(read)
    usual = {
        labels: _usual(clips) if len(clips) >= _FEWEST_FOR_OUTLIERS else of_all
        for labels, clips in classes.items()
    }
    marked = []
    for check in checks:
        if check.status != "unreadable":
            seconds, side = usual[check.labels]
            if _is_outlier(check.duration_seconds, seconds):
                check = check.with_oddity(f"lasts {check.duration_seconds:.2f} s, usual are {seconds:.2f} s")
            if _is_outlier(check.short_side, side):
                check = check.with_oddity(f"short side {check.short_side}, usual is {side:.0f}")
        marked.append(check)
    return marked


def _usual(clips: list[ClipCheck]) -> tuple[float, float]:
    """Median duration and short side; nan if there are few clips or the middle half of them differs."""
    if len(clips) < _FEWEST_FOR_OUTLIERS:
        return math.nan, math.nan
    middles = []
    for values in ([clip.duration_seconds for clip in clips], [float(clip.short_side) for clip in clips]):
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        middles.append(median if upper <= 2 * lower else math.nan)
    return middles[0], middles[1]


def _is_outlier(value: float | int, usual: float) -> bool:
    return value * _OUTLIER < usual or value > usual * _OUTLIER  # never, if nothing is usual (nan)


def _mark_duplicates(checks: list[ClipCheck]) -> list[ClipCheck]:
    """Add a note to files that are, byte by byte, copies of a file before them."""
    by_size = defaultdict(set)
    for path in {check.path for check in checks if check.path.is_file()}:
        by_size[path.stat().st_size].add(path)
    suspects = {path for paths in by_size.values() if len(paths) > 1 for path in paths}
    first_with: dict[str, Path] = {}
    marked = []
    for check in checks:
        if check.path in suspects and check.status != "unreadable":
            with check.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            original = first_with.setdefault(content, check.path)
            if original != check.path:
                check = check.with_oddity(f"a copy of {original}")
        marked.append(check)
    return marked
