"""`interlace av predict MODEL FILE|DIR|GLOB...`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import complain, in_options, parse
from interlace.cli.progress import bar_of_videos

if TYPE_CHECKING:
    from interlace.audiovisual.prediction.event_prediction import EventPrediction, EventQuery
    from interlace.audiovisual.prediction.localize_file import EventRecognizer


NOT_DRAWN = "its timeline is there, and could not be drawn"
"""How the reason begins, where it is the picture that failed."""


def run(arguments: list[str]) -> int:
    """Find the events of videos."""
    return predict(**parse("av predict", predict, arguments))


def predict(
    model: Path,
    paths: list[str],
    *,
    query: Literal["audio", "visual"] | None = None,
    start: float | None = None,
    end: float | None = None,
    pictures: Path | None = Path("timelines"),
    output: Path | None = None,
    extractor: Path | None = None,
    frames: str | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    device: str = "auto",
) -> int:
    """Find the events of videos by their own sound and picture: what is heard and seen in each second, and a label.

    Prints a timeline of each video, and draws it. Of videos longer than a minute stretches with the same label are
    printed; --output has every second. The exit status is 1 if a video could not be read.

    Args:
        model: Checkpoint that `interlace av train` wrote.
        paths: Video files, folders (searched for videos) or quoted globs.
        query: For checkpoints of task cml: where the event is given, in what is heard (audio) or seen (visual).
        start: Second at which the event begins in the query.
        end: Second at which it ends there.
        pictures: Folder that receives a picture of each timeline, VIDEO.png; null draws none.
        output: Also write all seconds to this .csv or .json file.
        extractor: The extractor.safetensors beside the features that the checkpoint was trained on, where it holds
            none itself.
        frames: Template of frame files, where videos are folders of pictures, e.g. img_{:05d}.jpg.
        on_error: What to do with damaged frames: let the nearest one stand in, or refuse the video.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.audiovisual.prediction.localize_file import EventRecognizer
    from interlace.audiovisual.prediction.timeline_text import check_suffix, print_timelines, write_timelines
    from interlace.cli.av_output import require_writable
    from interlace.inference.batch import expand

    if output is not None:
        check_suffix(output)
        require_writable("output", output.parent)
    if pictures is not None:
        require_writable("pictures", pictures)
    question = _query(query, start, end)
    keep_freed_memory()
    recognizer = EventRecognizer(model, device=device, extractor=extractor)
    recognizer.check_query(question)
    videos = without_drawings(expand(paths), paths, pictures)
    with bar_of_videos("listening and looking") as report:
        predictions, failures = predict_videos(
            recognizer,
            videos,
            query=question,
            drawings=drawings_of(videos, pictures),
            on_error=on_error,
            frame_template=frames,
            progress=report,
        )
    failures = [(path, in_options(reason)) for path, reason in failures]
    print_timelines(predictions, failures)
    drawn = len(predictions) - sum(reason.startswith(NOT_DRAWN) for _, reason in failures)
    if pictures is not None and drawn:
        print(f"{'picture' if drawn == 1 else 'pictures'}: {pictures}")
    if output is not None:
        write_timelines(output, predictions, failures)
        print(f"written: {output}")
    if failures:
        what = "timeline" if len(predictions) + len(failures) == len(videos) else "timeline or no picture"
        return complain(f"no {what} of {len(failures)} of the videos (listed above)", status=1)
    return 0


def predict_videos(
    recognizer: EventRecognizer,
    videos: Sequence[Path],
    *,
    query: EventQuery | None,
    drawings: Sequence[Path | None],
    on_error: Literal["skip", "raise"],
    frame_template: str | None,
    progress: Callable[[float, int, Path], None],
) -> tuple[list[EventPrediction], list[tuple[str, str]]]:
    """Predict and draw all videos; what cannot be read is listed, and the rest is done. Ctrl-C keeps what is done."""
    predictions: list[EventPrediction] = []
    failures: list[tuple[str, str]] = []
    for position, (path, drawing) in enumerate(zip(videos, drawings, strict=True)):

        def report(done: int, total: int, position: int = position, path: Path = path) -> None:
            progress(position + done / total, len(videos), path)

        try:
            if not path.exists():
                raise FileNotFoundError("no such file or folder, and no file matches it as a pattern")
            prediction = recognizer(
                path, query=query, on_error=on_error, frame_template=frame_template, progress=report
            )
            predictions.append(prediction)
            if drawing is not None:
                failures += _draw(prediction, drawing, frame_template)
        except (ValueError, OSError) as problem:
            failures.append((str(path), _reason(path, problem)))
        except KeyboardInterrupt:
            left = len(videos) - position - 1
            failures.append((str(path), f"stopped by Ctrl-C before it was done; {left} more were not begun"))
            break
        report(1, 1)
    return predictions, failures


def _draw(prediction: EventPrediction, drawing: Path, frame_template: str | None) -> list[tuple[str, str]]:
    """What failed, if anything: the prediction itself stands."""
    from interlace.audiovisual.prediction.draw_prediction import draw_prediction

    try:
        draw_prediction(prediction, drawing, frame_template=frame_template)
    except (ValueError, OSError) as problem:
        return [(prediction.path, f"{NOT_DRAWN}: {_reason(Path(prediction.path), problem)}")]
    return []


def _reason(path: Path, problem: Exception) -> str:
    return " ".join(str(problem).removeprefix(f"{path}:").split()) or type(problem).__name__


def without_drawings(videos: Sequence[Path], named: Sequence[str], pictures: Path | None) -> list[Path]:
    """Leave out folders of timelines that an earlier run has drawn among the videos: they look like frames of one."""
    if pictures is None:
        return list(videos)
    drawn = pictures.resolve()
    if any(Path(name).resolve().is_relative_to(drawn) for name in named):
        return list(videos)  # they are meant
    return [video for video in videos if not (video.is_dir() and video.resolve().is_relative_to(drawn))]


def drawings_of(videos: Sequence[Path], folder: Path | None) -> list[Path | None]:
    """The picture of each video: its name with .png; where two have one name, all in the subfolders of their videos."""
    if folder is None or not videos:
        return [None] * len(videos)
    whole = [video.resolve() for video in videos]
    if len({video.name.lower() for video in whole}) == len(whole):
        return [folder / f"{video.name}.png" for video in whole]
    common = os.path.commonpath([video.parent for video in whole])
    return [folder / f"{video.relative_to(common)}.png" for video in whole]


def _query(
    query: Literal["audio", "visual"] | None, start: float | None, end: float | None
) -> EventQuery | None:
    from interlace.audiovisual.prediction.event_prediction import EventQuery

    if query is None and start is None and end is None:
        return None
    if query is None or start is None or end is None:
        raise ValueError("--query, --start and --end belong together, e.g. --query audio --start 2 --end 5")
    return EventQuery(query, start, end)
