"""Many files: what is meant by the given names, and one answer or one reason for each."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interlace.data.video import VideoError, find_videos
from interlace.inference.recognizer import Recognizer
from interlace.types import Prediction

# Shorter videos are answered as a whole: a handful of windows says less than one prediction.
TIMELINE_WINDOWS = 4
TIMELINE_SECONDS = 20.0


@dataclass(frozen=True)
class Failure:
    """A file without a prediction, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def expand(paths: Sequence[str | Path]) -> list[Path]:
    """The videos meant by files, folders (searched to the bottom) and patterns (``"clips/*.mp4"``).

    A name that means nothing stays in the list, so that it is reported and not lost. Nothing is listed twice.

    Example:
        >>> from interlace.inference.batch import expand
        >>> [str(path) for path in expand(["-odd-name-.mp4", "-odd-name-.mp4"])]
        ['-odd-name-.mp4']
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        matches = [path]
        if not path.exists():  # a file may have brackets in its name, so a pattern comes second
            matches = [Path(match) for match in sorted(glob.glob(str(name), recursive=True))] or [path]  # noqa: PTH207
        for match in matches:
            found.update(dict.fromkeys(_videos_in(match) if match.is_dir() else [match]))
    return list(found)


def _videos_in(folder: Path) -> list[Path]:
    try:
        return find_videos(folder)
    except VideoError:  # there is none; opening the folder will say why
        return [folder]


@dataclass(frozen=True)
class AnswerOptions:
    """What is asked of each video: all that changes an answer, beside the network itself."""

    top_k: int = 5
    """Labels for each video or window."""
    timeline: Literal["auto", "on", "off"] = "auto"
    """on: windows for every video; off: one prediction each; auto: windows for videos longer than four windows and
    20 s."""
    window_seconds: float | None = None
    """See :meth:`Recognizer.timeline`."""
    hop_seconds: float | None = None
    """See :meth:`Recognizer.timeline`."""

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k={self.top_k} asks for no label; give 1 or more")
        for name, seconds in (("window_seconds", self.window_seconds), ("hop_seconds", self.hop_seconds)):
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name}={seconds} must be above zero")


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the middle of a video; ``predictions`` are the windows of it that were done."""

    def __init__(self, predictions: list[Prediction]) -> None:
        super().__init__()
        self.predictions = predictions


def answer(
    recognizer: Recognizer,
    path: Path,
    options: AnswerOptions = AnswerOptions(),
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction] | Failure:
    """Predict one video: its prediction, the windows of its timeline, or why there is none.

    Args:
        recognizer: The network.
        path: A video file or a folder of frames.
        options: What is asked.
        progress: Called with (windows done, windows in all).

    Raises:
        Stopped: at Ctrl-C.

    Example:
        >>> from pathlib import Path
        >>> import interlace
        >>> from interlace.inference.batch import answer
        >>> answer(interlace.load("best.safetensors"), Path("absent.mp4"))  # doctest: +SKIP
        Failure(path='absent.mp4', reason='no such file or folder, and no file matches it as a pattern')
    """
    predictions: list[Prediction] = []
    try:
        if not path.exists():
            raise FileNotFoundError("no such file or folder, and no file matches it as a pattern")
        with recognizer.open(path) as reader:
            if not _wants_windows(reader.duration_seconds, recognizer, options):
                return [recognizer(reader, top_k=options.top_k)]
            span = options.window_seconds, options.hop_seconds
            for prediction in recognizer.iter_timeline(reader, *span, options.top_k, progress):
                predictions.append(prediction)  # one by one: Ctrl-C keeps the windows that are done
    except (ValueError, OSError) as problem:
        return Failure(str(path), _reason(problem, path))
    except MemoryError:
        return Failure(str(path), "its frames do not fit into memory")
    except KeyboardInterrupt as stop:
        raise Stopped(predictions) from stop
    return predictions


def _wants_windows(duration_seconds: float, recognizer: Recognizer, options: AnswerOptions) -> bool:
    window = recognizer.window_seconds if options.window_seconds is None else options.window_seconds
    is_long = duration_seconds > max(TIMELINE_WINDOWS * window, TIMELINE_SECONDS)
    return options.timeline == "on" or (options.timeline == "auto" and is_long)


def predict_files(
    recognizer: Recognizer,
    paths: Sequence[str | Path],
    *,
    top_k: int = 5,
    timeline: Literal["auto", "on", "off"] = "auto",
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    progress: Callable[[float, int, Path], None] | None = None,
) -> tuple[list[Prediction], list[Failure]]:
    """Predict all files, folders and patterns; what cannot be read is listed, and the rest is done.

    All answers are held in memory; for very many videos call :func:`answer` for each. Ctrl-C ends early and keeps
    what is done; the last failure says where it stopped.

    Args:
        recognizer: The network.
        paths: What :func:`expand` takes.
        top_k: See :class:`AnswerOptions`, as the next three.
        timeline: When to go through windows.
        window_seconds: Their length.
        hop_seconds: Their distance.
        progress: Called with (videos done, in fractions; videos in all; the present one).

    Example:
        >>> import interlace
        >>> from interlace.inference.batch import predict_files
        >>> predict_files(interlace.load("best.safetensors"), ["clips"])  # doctest: +SKIP
        ([Prediction(path='clips/a.mp4', top=(('wave', 0.97), ('clap', 0.02)), ...)], [])
    """
    videos = expand(paths)
    options = AnswerOptions(top_k, timeline, window_seconds, hop_seconds)
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    for position, path in enumerate(videos):
        report = within(progress, position, len(videos), path)
        try:
            found = answer(recognizer, path, options, report)
        except Stopped as stop:
            predictions += stop.predictions
            left = len(videos) - position - 1
            reason = f"stopped by Ctrl-C before it was done; {left} more were not begun"
            failures.append(Failure(str(path), reason))
            break
        if isinstance(found, Failure):
            failures.append(found)
        else:
            predictions += found
        report(1, 1)
    return predictions, failures


def within(
    progress: Callable[[float, int, Path], None] | None, position: int, total: int, path: Path
) -> Callable[[int, int], None]:
    """Parts of one video, told as a fraction of all videos.

    Example:
        >>> from pathlib import Path
        >>> from interlace.inference.batch import within
        >>> within(lambda *told: print(*told), 3, 10, Path("a.mp4"))(1, 4)
        3.25 10 a.mp4
    """

    def report(done: int, parts: int) -> None:
        if progress is not None:
            progress(position + done / parts, total, path)

    return report


def _reason(problem: Exception, path: Path) -> str:
    """The message as one line, without the path that stands before it anyway."""
    return " ".join(str(problem).removeprefix(f"{path}:").split()) or type(problem).__name__
