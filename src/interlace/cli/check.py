"""`interlace check DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from interlace.cli.parser import parse, say


def run(arguments: list[str]) -> int:
    """Check a data set."""
    return check(**parse("check", check, arguments))


def check(
    data: Path,
    *,
    annotations: Path | None = None,
    format: str = "auto",
    labels: Path | None = None,
    frames: str | None = None,
    num_segments: int = 8,
    num_workers: int = 2,
    json: Path | None = None,
    modality: Literal["rgb", "flow", "rgb_diff", "rgb_flow"] = "rgb",
    flow: Literal["dis", "dis_fast", "tvl1"] | Path = "dis",
    allow_outside: bool = False,
) -> int:
    """Decode every clip of a data set; report unreadable, damaged, short and odd ones and the balance of classes.

    The exit status is 1 if training would fail on it with its default, strict policy.

    Args:
        data: Folder of the videos, labelled or not.
        annotations: Annotation file; without one every list or class folder that is found in the data folder.
        format: auto, folder, csv, kinetics, tsn, something_v1, something_v2, jester, ucf101 or hmdb51.
        labels: File with the class names, where the format has one.
        frames: Template of frame files, where videos are folders of pictures, e.g. img_{:05d}.jpg.
        num_segments: A video with fewer frames than this is reported as short.
        num_workers: Processes that decode.
        json: Also write the report to this file.
        modality: What training will see; flow also reads folders that `interlace flow` wrote.
        flow: The folder that `interlace flow` wrote for these videos, or a method to compute it with.
        allow_outside: Take clips that a list names outside of the data folder, by absolute paths or "..".
    """
    from interlace.cli.data import all_clips
    from interlace.data.check import check_videos

    report = check_videos(
        all_clips(data, annotations, format=format, labels=labels, outside=allow_outside),
        num_segments=num_segments,
        num_workers=num_workers,
        frame_template=frames,
        modality=modality,
        flow=flow,
    )
    report.print()
    if json is not None:
        report.to_json(json)
        say(f"written: {json}")
    return 1 if report.would_fail else 0
