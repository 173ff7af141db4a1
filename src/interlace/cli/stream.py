"""`interlace stream SOURCE --model M`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TextIO

from interlace.cli.parser import parse

if TYPE_CHECKING:
    from interlace.data.live import LiveSource
    from interlace.streaming.events import EventFinder, Thresholds
    from interlace.streaming.frame_steps import FrameSteps
    from interlace.streaming.loop import StreamLoop, Update
    from interlace.streaming.smoothing import Smoothing
    from interlace.streaming.summary import Summary


def run(arguments: list[str]) -> int:
    """Follow a camera, a file or an address."""
    return stream(**parse("stream", stream, arguments))


def stream(
    source: str,
    *,
    model: Path,
    top_k: int = 5,
    display: bool = False,
    output: Path | None = None,
    json: str | None = None,
    pace: Literal["real", "fast"] = "real",
    duration: float | None = None,
    reconnect: float | None = None,
    fps: float | None = None,
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    smooth_seconds: float | None = None,
    smooth_last: int | None = None,
    begin_score: float = 0.5,
    end_score: float = 0.3,
    margin: float = 0.1,
    min_seconds: float = 0.5,
    ignore: list[str] | None = None,
    device: str = "auto",
    optimize: bool = False,
) -> int:
    """Say what happens in front of a camera, as it happens; Ctrl-C ends it.

    A causal network (tsm_causal_..., tin_causal_...; tsn_... too) answers frame by frame, any other one is shown the
    last seconds again and again. Frames are dropped rather than falling behind. A source that goes away is waited
    for, and what comes then is a new stream.

    Args:
        source: Number of a camera (0 is the first), a video file, an address (rtsp://..., http://...), or - for
            standard input.
        model: Checkpoint that `interlace train` wrote, or file that `interlace export` wrote (.onnx, .xml or .pt2).
        top_k: Labels to report and to draw.
        display: Show the frames with the labels in a window; q closes it.
        output: Also write the frames with the labels to this video file.
        json: Also write predictions and events to this file, a JSON object a line; - is standard output, which then
            holds nothing else.
        pace: real plays a file as fast as it was recorded, and drops what comes too quickly; fast takes every frame.
        duration: Seconds of the stream after which to end.
        reconnect: Seconds to wait for a camera or an address that has gone away; by default as long as it takes.
        fps: Frames that the network takes in a second; by default as many as in training (of those that see windows:
            four times as many, to choose from).
        window_seconds: Time that the network sees at once; by default the median length of the clips that it was
            trained on.
        hop_seconds: Time between two windows; by default a segment of the window.
        smooth_seconds: Time over which predictions are smoothed; 0 is off. By default half a window for causal
            networks, a hop for others.
        smooth_last: Take the plain mean of so many predictions instead.
        begin_score: Score at which an event begins.
        end_score: Score below which it ends.
        margin: An event also ends where another label scores higher by this.
        min_seconds: What is shorter is no event.
        ignore: Labels that are no events (background, nothing).
        device: auto, cpu, cuda, cuda:1 or mps.
        optimize: Use a faster copy of the network, in bfloat16 where the processor has it; how well the two agree is
            printed.
    """
    from rich.console import Console

    from interlace.allocator import keep_freed_memory
    from interlace.data.live import open_live
    from interlace.inference import load
    from interlace.streaming.events import EventFinder, Thresholds
    from interlace.streaming.interruption import stopping
    from interlace.streaming.json_lines import JsonLines
    from interlace.streaming.loop import StreamLoop
    from interlace.streaming.smoothing import Exponential
    from interlace.streaming.steps import frame_steps
    from interlace.streaming.terminal import Terminal

    thresholds = Thresholds(begin_score, end_score, margin, min_seconds)
    smoothing = _smoothing(smooth_seconds, smooth_last)
    _check(source, output, json, top_k=top_k, duration=duration, reconnect=reconnect)
    keep_freed_memory()
    recognizer = load(model, device=device, optimize=optimize)
    steps = frame_steps(recognizer, frame_rate=fps, window_seconds=window_seconds, hop_seconds=hop_seconds)
    finder = EventFinder(recognizer.card.labels, thresholds, recognizer.card.multi_label, tuple(ignore or ()))
    smoothing = smoothing or Exponential(steps.smooth_seconds)
    with ExitStack() as stack:
        terminal = stack.enter_context(Terminal(Console(stderr=json == "-")))
        if optimize:
            terminal.say(f"optimized, {recognizer.model.agreement}")
        steps.warm_up()
        live = stack.enter_context(
            open_live(
                source,
                # Who looks wants all frames; else as many as the steps can choose from.
                frame_rate=None if display or output or not steps.frame_rate else 2 * steps.frame_rate,
                pace=pace,
                max_wait_seconds=reconnect,
            )
        )
        stack.enter_context(stopping(live.close))
        terminal.say(_headline(live, steps))
        tell: list[Callable[[Update], None]] = [terminal]
        if json is not None:
            lines = JsonLines(sys.stdout if json == "-" else stack.enter_context(_text_file(json)))
            lines.start(_about(live, steps, finder, smoothing))
            tell.append(lines)
        pictures, is_open = _pictures(stack, live, output, display)
        tell += pictures
        loop = stack.enter_context(
            StreamLoop(live, steps, smoothing=smoothing, events=finder, top_k=top_k, beside=pace == "real")
        )
        failure = _follow(loop, tell, is_open, duration)
        summary = loop.summary()
        if json is not None:
            lines.summary(summary)
        terminal.say(_last_words(summary, thresholds))
    if output is not None:
        terminal.say(f"written: {output}")
    if failure is not None:
        raise failure
    return 0


def _follow(
    loop: StreamLoop,
    tell: Sequence[Callable[[Update], None]],
    is_open: Callable[[], bool],
    duration: float | None,
) -> ValueError | None:
    """Tell of all updates, and of the last one however the stream ends; why it broke off, if it did."""
    from interlace.data.video import VideoError

    failure = None
    here_at = perf_counter()
    try:
        for update in loop.updates():
            for each in tell:
                each(update)
            here_at = here_at if update.away else perf_counter()
            seconds_away = perf_counter() - here_at if update.away else 0.0
            if not is_open() or (duration is not None and update.time_seconds + seconds_away >= duration):
                break
    except VideoError as error:
        failure = error
    last = loop.finish()
    for each in tell:
        each(last)
    return failure


def _pictures(
    stack: ExitStack, live: LiveSource, output: Path | None, display: bool
) -> tuple[list[Callable[[Update], None]], Callable[[], bool]]:
    """Who shows the frames, and whether somebody still looks."""
    from interlace.streaming.overlay import drawn_size
    from interlace.streaming.pictures import Pictures, Show

    shows: list[Show] = []
    is_open: Callable[[], bool] = _always
    if output is not None:
        from interlace.streaming.video_sink import VideoSink

        height, width = drawn_size(live.height, live.width)
        video = stack.enter_context(VideoSink(output, frame_rate=live.fps, height=height, width=width))
        shows.append(video.write)
    if display:
        from interlace.streaming.window import Window

        window = stack.enter_context(Window(live.address.name))
        shows.append(lambda picture, _seconds: window.show(picture))
        is_open = window.is_open
    return ([Pictures(*shows)] if shows else []), is_open


def _always() -> bool:
    return True


def _check(
    source: str,
    output: Path | None,
    json: str | None,
    *,
    top_k: int,
    duration: float | None,
    reconnect: float | None,
) -> None:
    """What is wrong is said before the network is read."""
    if top_k < 1:
        raise ValueError(f"--top_k {top_k} asks for no label; give 1 or more")
    if duration is not None and not duration > 0:
        raise ValueError(f"--duration {duration:g} is no time; give seconds above 0, or leave it out")
    if reconnect is not None and not reconnect >= 0:
        raise ValueError(
            f"--reconnect {reconnect:g} is no time; give seconds, 0 not to wait, or leave it out"
        )
    for option, path in (("output", output), ("json", None if json in (None, "-") else Path(str(json)))):
        if path is None:
            continue
        if path.is_dir():
            raise ValueError(f"--{option} {path} is a folder; name a file")
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise ValueError(f"--{option} {path} is the source itself; name another file")
    if output is not None and json is not None and output.absolute() == Path(json).absolute():
        raise ValueError(f"--output and --json are both {output}; name two files")


def _text_file(name: str) -> TextIO:
    """Line after line can be read while the stream goes on, and what is written stays."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def _smoothing(seconds: float | None, last: int | None) -> Smoothing | None:
    from interlace.streaming.smoothing import Exponential, MeanOfLast

    if seconds is not None and last is not None:
        raise ValueError("--smooth_seconds and --smooth_last are two ways to smooth; give one of them")
    if last is not None:
        return MeanOfLast(last)
    return None if seconds is None else Exponential(seconds)


def _headline(live: LiveSource, steps: FrameSteps) -> str:
    recognizer = steps.recognizer
    source = f"{live.address.name}: {live.width} x {live.height}, {live.fps:.3g} frames a second"
    return f"{source}; {recognizer.card.model} on {recognizer.device} sees {steps.about}; Ctrl-C ends"


def _about(live: LiveSource, steps: FrameSteps, finder: EventFinder, smoothing: Smoothing) -> dict[str, Any]:
    """The first line of JSON."""
    return {
        "source": live.address.name,
        "height": live.height,
        "width": live.width,
        "fps": live.fps,
        "model": str(steps.recognizer.path),
        "network": steps.recognizer.card.model,
        "labels": list(steps.recognizer.card.labels),
        "sees": steps.about,
        "smoothing": str(smoothing),
        "thresholds": asdict(finder.thresholds),
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _last_words(summary: Summary, thresholds: Thresholds) -> str:
    """The summary; where there was no event, how near it came."""
    if summary.num_events or summary.best is None:
        return str(summary)
    label, score, seconds = summary.best
    best = f"the highest score was {score:.1%}, {label} at {seconds:.1f} s"
    rule = (
        f"events begin at --begin_score {thresholds.begin_score:g} "
        f"and last --min_seconds {thresholds.min_seconds:g} or longer"
    )
    return f"{summary}: {best}; {rule}"
