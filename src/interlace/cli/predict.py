"""`interlace predict FILE|DIR|GLOB... --model M`."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import complain, in_options, parse
from interlace.cli.progress import bar_of_videos
from interlace.corpus.options import ON_THIS_MACHINE, RayOptions

if TYPE_CHECKING:
    from interlace.inference.batch import AnswerOptions
    from interlace.inference.journal import Journal
    from interlace.inference.recognizer import Recognizer


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
    output: str | None = None,
    timeline: Literal["auto", "on", "off"] = "auto",
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    frames: str | None = None,
    device: str = "auto",
    optimize: bool = False,
    flow: Literal["dis", "dis_fast", "tvl1"] | Path | None = None,
    engine: Literal["local", "ray"] = "local",
    column: str | None = None,
    ray: RayOptions = ON_THIS_MACHINE,
) -> int:
    """Say what happens in videos: a table here, CSV or JSON with --output.

    Args:
        paths: Video files, folders (searched for videos and folders of frames) or quoted globs; with --column Parquet
            files, folders of them or URLs.
        model: Checkpoint that `interlace train` wrote, or file that `interlace export` wrote (.onnx, .xml or .pt2).
        top_k: Labels to report for each video.
        output: Also write the predictions to this .csv or .json file; events of timelines stand in the .json, and
            beside NAME.csv in NAME.events.csv. Each video is kept in .NAME.journal until the file is written: after
            Ctrl-C, a kill or a power cut the same command goes on. With --engine ray a folder of Parquet files, on a
            disk or at a URL such as s3://bucket/folder.
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
        engine: local: this process; ray: many, on this machine or a cluster, see --ray.address; needs interlace[ray].
        column: The paths are in this column of Parquet tables; their other columns go along. For --engine ray.
        ray: Where --engine ray works.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.cli.corpus import refuse_what_is_for_ray, run_ray
    from interlace.inference import load
    from interlace.inference.batch import AnswerOptions, expand
    from interlace.inference.output import check_suffix

    keep_freed_memory()
    if engine == "ray":
        from interlace.corpus.network import read_network
        from interlace.corpus.work import How, Predicting

        return run_ray(
            paths,
            column=column,
            work=Predicting(
                AnswerOptions(top_k, timeline, window_seconds, hop_seconds),
                How(frames, device, optimize, flow),
            ),
            network=lambda: read_network(model, optimize=optimize),
            output=output,
            options=ray,
        )
    refuse_what_is_for_ray(column, output)
    if output is not None:
        check_suffix(Path(output))
    recognizer = load(model, device=device, frame_template=frames, optimize=optimize, flow=flow)
    if optimize:
        print(f"optimized, {recognizer.model.agreement}", flush=True)
    options = AnswerOptions(top_k, timeline, window_seconds, hop_seconds)
    videos = expand(paths)
    if output is None:
        num_failures = _answer_all(recognizer, videos, options, None)
    else:
        num_failures = _answer_and_write(recognizer, videos, options, Path(output))
    if num_failures:
        return complain(f"no prediction for {num_failures} of {len(videos)} videos (listed above)", status=1)
    return 0


def _answer_and_write(
    recognizer: Recognizer, videos: list[Path], options: AnswerOptions, output: Path
) -> int:
    """Answers on the disk as soon as they are there, and in the end all of them in the output."""
    from interlace.files import locked
    from interlace.inference.journal import Journal, journal_file
    from interlace.inference.output import events_file, events_of, write_predictions
    from interlace.inference.settings import settings_of

    file = journal_file(output)
    lock = locked(file.with_suffix(".lock"), f"{output}: a prediction")
    with lock, Journal(file, settings_of(recognizer, options), videos) as journal:
        if journal.num_found:
            print(
                f"going on: {journal.num_found} of {len(videos)} videos are done", file=sys.stderr, flush=True
            )
        try:
            num_failures = _answer_all(recognizer, videos, options, journal)
            num_ranks = min(options.top_k, len(recognizer.card.labels))
            write_predictions(output, journal.predictions, journal.failures, num_ranks=num_ranks)
            has_events = output.suffix.lower() == ".csv" and any(True for _ in events_of(journal.predictions))
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"{journal.num_done} of {len(videos)} videos are done, and kept in {file}; the same command goes on"
            ) from stop
        journal.remove()
    print(f"written: {output}" + (f", {events_file(output)}" if has_events else ""))
    return num_failures


def _answer_all(
    recognizer: Recognizer, videos: list[Path], options: AnswerOptions, journal: Journal | None
) -> int:
    """Answer each video, or take its answer from the journal, and print it; returns the number of failures."""
    from interlace.inference.batch import Failure, Stopped, answer, within
    from interlace.inference.output import Printer
    from interlace.inference.settings import source_of

    num_failures = position = 0
    with Printer(len(videos)) as show, bar_of_videos("predicting") as progress:
        try:
            for position, listed in enumerate(videos):
                path = Path(
                    str(listed)
                )  # paths keep what was asked of them: a kilobyte a video, if these did
                report = within(progress, position, len(videos), path)
                found = journal.answer(position) if journal else None
                if found is None:
                    source = source_of(path)
                    found = answer(recognizer, path, options, report)
                    if isinstance(found, Failure):
                        found = replace(found, reason=in_options(found.reason))
                    if journal:
                        journal.add(position, source, found)
                num_failures += isinstance(found, Failure)
                show(found)
                report(1, 1)
        except KeyboardInterrupt as stop:
            if isinstance(stop, Stopped):
                show(stop.predictions)
            raise KeyboardInterrupt(f"{position} of {len(videos)} videos are done") from stop
    return num_failures
