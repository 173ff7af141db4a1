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

    Ctrl-C ends early and keeps what is done; the last failure says where it stopped.

    Args:
        recognizer: The network.
        paths: What :func:`expand` takes.
        top_k: Labels for each video or window.
        timeline: ``on``: windows for every video; ``off``: one prediction each; ``auto``: windows for videos
            longer than four windows and 20 s.
        window_seconds: See :meth:`Recognizer.timeline`.
        hop_seconds: See :meth:`Recognizer.timeline`.
        progress: Called with (videos done, in fractions; videos in all; the present one).
    """
    videos = expand(paths)
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    window = recognizer.window_seconds if window_seconds is None else window_seconds
    long = max(TIMELINE_WINDOWS * window, TIMELINE_SECONDS)
    for position, path in enumerate(videos):

        def report(done: int, total: int, position: int = position, path: Path = path) -> None:
            if progress is not None:
                progress(position + done / total, len(videos), path)

        try:
            if not path.exists():
                raise FileNotFoundError("no such file or folder, and no file matches it as a pattern")
            with recognizer.open(path) as reader:
                if timeline == "on" or (timeline == "auto" and reader.duration_seconds > long):
                    for prediction in recognizer.iter_timeline(reader, window, hop_seconds, top_k, report):
                        predictions.append(prediction)  # one by one: Ctrl-C keeps the windows that are done
                else:
                    predictions.append(recognizer(reader, top_k=top_k))
        except (ValueError, OSError) as problem:
            failures.append(Failure(str(path), _reason(problem, path)))
        except KeyboardInterrupt:
            left = len(videos) - position - 1
            reason = f"stopped by Ctrl-C before it was done; {left} more were not begun"
            failures.append(Failure(str(path), reason))
            break
        report(1, 1)
    return predictions, failures


def _reason(problem: Exception, path: Path) -> str:
    """The message as one line, without the path that stands before it anyway."""
    return " ".join(str(problem).removeprefix(f"{path}:").split()) or type(problem).__name__
