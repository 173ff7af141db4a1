"""`interlace predict FILE|DIR|GLOB... --model M`."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from interlace.cli.parser import complain, in_options, parse
from interlace.cli.progress import bar_of_videos


def run(arguments: list[str]) -> int:
    """Predict on videos."""
    return predict(**parse("predict", predict, with_timeline(arguments)))


def with_timeline(arguments: list[str]) -> list[str]:
    """A bare ``--timeline`` means on.

    Example:
        >>> from interlace.cli.predict import with_timeline
        >>> with_timeline(["--timeline", "a.mp4", "--timeline", "off"])
        ['--timeline=on', 'a.mp4', '--timeline', 'off']
    """
    return [
        "--timeline=on" if word == "--timeline" and following not in ("auto", "on", "off") else word
        for word, following in zip_longest(arguments, arguments[1:], fillvalue="")
    ]


def predict(
    paths: list[str],
    *,
    model: Path,
    top_k: int = 5,
    output: Path | None = None,
    timeline: Literal["auto", "on", "off"] = "auto",
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    frames: str | None = None,
    device: str = "auto",
    optimize: bool = False,
    flow: Literal["dis", "dis_fast", "tvl1"] | Path | None = None,
) -> int:
    """Say what happens in videos: a table here, CSV or JSON with --output.

    Args:
        paths: Video files, folders (searched for videos and folders of frames) or quoted globs.
        model: Checkpoint that `interlace train` wrote, or file that `interlace export` wrote (.onnx, .xml or .pt2).
        top_k: Labels to report for each video.
        output: Also write the predictions to this .csv or .json file; events of timelines stand in the .json, and
            beside NAME.csv in NAME.events.csv.
        timeline: Predict window after window, and merge windows to events: auto does it for videos longer than four
            windows and 20 s; the bare option means on.
        window_seconds: Length of a window; by default the median length of the clips that the model was trained on.
        hop_seconds: Distance between windows; half a window by default.
        frames: Template of frame files, where videos are folders of pictures; by default that of the training.
        device: auto, cpu, cuda, cuda:1 or mps.
        optimize: Use a faster copy of the network, in bfloat16 where the processor has it; how well the two
            agree is printed. Not for exported files, which are optimized already.
        flow: Where the network sees optical flow: the folder that `interlace flow` wrote, or a method to compute it
            with; by default training's method.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.inference import load
    from interlace.inference.batch import predict_files
    from interlace.inference.output import (
        check_suffix,
        events_file,
        events_of,
        print_predictions,
        write_predictions,
    )

    if output is not None:
        check_suffix(output)
    keep_freed_memory()
    recognizer = load(model, device=device, frame_template=frames, optimize=optimize, flow=flow)
    if optimize:
        print(f"optimized, {recognizer.model.agreement}", flush=True)
    with bar_of_videos("predicting") as report:
        predictions, failures = predict_files(
            recognizer,
            paths,
            top_k=top_k,
            timeline=timeline,
            window_seconds=window_seconds,
            hop_seconds=hop_seconds,
            progress=report,
        )
    failures = [replace(failure, reason=in_options(failure.reason)) for failure in failures]
    print_predictions(predictions, failures)
    if output is not None:
        write_predictions(output, predictions, failures)
        has_events = output.suffix.lower() == ".csv" and bool(events_of(predictions))
        print(f"written: {output}" + (f", {events_file(output)}" if has_events else ""))
    if failures:
        return complain(f"no prediction for {len(failures)} of the videos (listed above)", status=1)
    return 0
