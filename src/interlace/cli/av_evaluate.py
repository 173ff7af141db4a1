"""`interlace av evaluate MODEL... DATA --split test`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Score networks of audio-visual events."""
    return evaluate(**parse("av evaluate", evaluate, arguments))


def evaluate(
    paths: list[Path],
    *,
    split: Literal["test", "val", "train"] = "test",
    features: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    val_share: float = 0.2,
    batch_size: int = 256,
    device: str = "auto",
) -> int:
    """Score checkpoints of `interlace av train` on a split: MODEL [MODEL ...] DATA.

    The metric of sel is the share of all segments whose label is right, background being a label; that of cml the share
    of videos whose event is found at exactly the right start (audio to visual, visual to audio, and their mean), videos
    left out that are background only, full of their event, or have it in several pieces. Several seeds of a method
    give a mean and the sample standard deviation.

    Args:
        paths: Checkpoints, or folders of them (runs/av_sel, runs/av_sel/dam), and last the data: the folder or CSV file
            that `interlace av train` takes.
        split: What they are scored on.
        features: Folder that `interlace av features` wrote, for lists of events in video files.
        output: Folder of the reports; by default evaluation_SPLIT beside the first checkpoint, or in the first folder.
        overwrite: Replace the reports of another evaluation in that folder.
        val_share: As in training, where a list of events has no val.csv.
        batch_size: Timelines at a time; the result does not depend on it.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from interlace.audiovisual.features.extractor import about_extractor
    from interlace.audiovisual.features.feature_store import EXTRACTOR
    from interlace.audiovisual.tasks.event_output import RESULTS
    from interlace.audiovisual.tasks.score_models import find_models, score_models
    from interlace.audiovisual.tasks.seed_table import markdown_table
    from interlace.audiovisual.timelines.open_timelines import open_timelines
    from interlace.cli.av_output import require_writable

    if len(paths) < 2:
        raise ValueError(f"{paths[0]}: name the checkpoints and, last, the data: MODEL [MODEL ...] DATA")
    if batch_size < 1:
        raise ValueError(f"--batch_size {batch_size} must be at least 1")
    *named, data = paths
    models = find_models(named)
    folder = output or (named[0] if named[0].is_dir() else named[0].parent) / f"evaluation_{split}"
    require_writable("output", folder)
    timelines = open_timelines(data, split, features=features, val_share=val_share)
    print(f"{len(timelines)} timelines, {len(timelines.labels)} events: {timelines.source}", flush=True)
    rows = score_models(
        models,
        timelines,
        split=split,
        output=folder,
        overwrite=overwrite,
        batch_size=batch_size,
        device=device,
        extractor_sha256=about_extractor(features / EXTRACTOR)["fingerprint"] if features else None,
        tell=lambda line: print(line, flush=True),
    )
    print(f"\n{markdown_table(rows)}\n\nreport: {folder / RESULTS}.md, .csv and .json")
    return 0
