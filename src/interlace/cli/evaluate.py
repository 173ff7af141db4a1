"""`interlace evaluate DATA --model M [M ...]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from interlace.cli.ensemble import split_weights
from interlace.cli.parser import in_options, parse, say, warn


def run(arguments: list[str]) -> int:
    """Score checkpoints on labelled clips."""
    return evaluate(**parse("evaluate", evaluate, split_weights(arguments)))


def evaluate(
    data: Path,
    *,
    model: list[Path],
    annotations: Path | None = None,
    format: str = "auto",
    labels: Path | None = None,
    frames: str | None = None,
    flow: Literal["dis", "dis_fast", "tvl1"] | Path | None = None,
    num_segments: int | None = None,
    protocol: str | None = None,
    average: Literal["probabilities", "logits"] | None = None,
    weights: list[float] | None = None,
    batch_size: int = 8,
    num_workers: int | Literal["auto"] = "auto",
    device: str = "auto",
    precision: Literal["32", "bf16"] = "32",
    on_error: Literal["raise", "skip"] = "raise",
    output: Path | None = None,
    overwrite: bool = False,
    optimize: bool = False,
    allow_outside: bool = False,
) -> int:
    """Score one checkpoint, or several as an ensemble, on labelled clips.

    Args:
        data: Folder of the videos, or the folder or URL of shards that `interlace shard` wrote.
        model: Checkpoint, or a file that `interlace export` wrote (.onnx, .xml or .pt2); several make an ensemble.
        annotations: Annotation file; by default the clips that training validated on, else val.csv or test.csv.
        format: auto, folder, csv, kinetics, tsn, something_v1, something_v2, jester, ucf101 or hmdb51.
        labels: File with the class names, where the format has one.
        frames: Template of frame files, where videos are folders of pictures; by default that of the training.
        flow: Where the network sees optical flow: the folder that `interlace flow` wrote, or a method to compute it
            with; by default as in training.
        num_segments: Frames that the network sees in a clip; by default as many as in training. Not for exported files.
        protocol: 1clip-center, 1clip-10crop, 2clip-3crop, 10clip-3crop, full-res or 10clip-full-res;
            by default the model's own.
        average: What is averaged over views; by default the protocol's choice.
        weights: Weight of each checkpoint of an ensemble, e.g. 1 1.5 or 1,1.5.
        batch_size: Views that the network sees at once; the result does not depend on it.
        num_workers: Processes that decode; auto goes by the cores and the device.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: Arithmetic of the network. Not for exported files, which keep their own.
        on_error: What to do with a video that cannot be read; skipped ones are counted and listed.
        output: Folder of the report; by default beside the checkpoint.
        overwrite: Replace the report of another evaluation in that folder.
        optimize: Use faster copies of the networks, in the dtype of --precision; the report says how well
            they agree with the networks. Not for exported files, which are optimized already.
        allow_outside: Take clips that a list names outside of the data folder, by absolute paths or "..".
    """
    from interlace.allocator import keep_freed_memory
    from interlace.cli.data import evaluation_clips
    from interlace.data.splits import trained_on
    from interlace.evaluation.evaluate import evaluate as score
    from interlace.evaluation.evaluate import trained_note
    from interlace.exported import read_card
    from interlace.training.launch import require_one_process

    require_one_process("interlace evaluate")
    keep_freed_memory()
    cards = [read_card(path) for path in model]
    card = cards[0]
    clips = evaluation_clips(
        data,
        annotations,
        card=card,
        format=format,
        labels=labels,
        missing=on_error,
        outside=allow_outside,
    )
    say(f"{len(clips.samples)} clips, {len(clips.classes)} classes: {clips.source}")
    not_new = trained_on(clips, [member.training for member in cards], data)
    if not_new:
        warn(trained_note(len(not_new), len(clips)))
    report = score(
        model,
        clips,
        protocol=protocol or card.protocol,
        average=average,
        weights=weights,
        batch_size=batch_size,
        num_workers=num_workers,
        device=device,
        precision=precision,
        on_error=on_error,
        frame_template=frames,
        flow=flow,
        num_segments=num_segments,
        data_root=data,
        output=output,
        overwrite=overwrite,
        optimize=optimize,
    )
    print(report)
    for note in report.details.get("optimized", []):
        print(f"optimized, {note}")
    for path, reason in report.skipped:
        say(f"skipped {path}: {in_options(reason)}")
    for path, note in report.damaged:
        say(f"damaged {path}: {note}")
    say(f"report: {report.output}")
    return 0
