"""What a user does with a file, by the public functions: open, decode, check, read, load, predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from fuzzing.cases import Case
from interlace.data import video
from interlace.data.annotations import (
    FORMATS,
    AnnotationError,
    detect_format,
    read_annotations,
    read_class_names,
)
from interlace.data.annotations.sample import Sample
from interlace.data.audio import read_seconds_of_sound
from interlace.data.check import check_clip

Attempt = Callable[[], Any]


def attempts(case: Case, seeds: Path) -> dict[str, Attempt]:
    """By name, each thing that is done with the case; one must not keep another from being tried."""
    path = case.path
    if case.kind in ("video", "pictures"):
        return {
            "raise": lambda: _read(path, "raise"),
            "skip": lambda: _read(path, "skip"),
            "check": lambda: _check(path),
        }
    if case.kind == "sound":
        return {"sound": lambda: _sound(path), "skip": lambda: _read(path, "skip")}
    if case.kind == "flow":
        return {"flow": lambda: _read(path, "raise", "flow"), "skip": lambda: _read(path, "skip", "flow")}
    if case.kind == "annotations":
        return _annotations(path)
    if case.kind in ("checkpoint", "export"):
        return _networks(path)
    if case.kind == "features":
        return {"features": lambda: _features(path), "timelines": lambda: _timelines(path)}
    return {"resume": lambda: _resume(path, seeds)}


def _read(path: Path, on_error: Literal["raise", "skip"], modality: Literal["rgb", "flow"] = "rgb") -> str:
    """The frames that a clip of three would take, out of order, and the whole size."""
    with video.open(path, on_error=on_error, modality=modality) as reader:
        last = reader.num_frames - 1
        frames = reader.frames_at([last, 0, last // 2])
        if frames.shape[-2:] != (reader.height, reader.width) and modality == "rgb":
            raise AssertionError(f"{tuple(frames.shape)} of {reader.height} x {reader.width}")
        if len(reader.pts_seconds) != reader.num_frames or not bool(torch.isfinite(reader.pts_seconds).all()):
            raise AssertionError(f"{len(reader.pts_seconds)} times of {reader.num_frames} frames")
        return "frames"


def _check(path: Path) -> str:
    return check_clip(Sample(path, ())).status


def _sound(path: Path) -> str:
    sound = read_seconds_of_sound(path, sample_rate_hz=16000, num_seconds=2)
    if not bool(torch.isfinite(sound.samples).all()) or float(sound.samples.abs().max()) > 1:
        raise AssertionError("samples beyond 1")
    return "sound"


def _annotations(path: Path) -> dict[str, Attempt]:
    from interlace.audiovisual.timelines.ave_annotations import read_ave_events
    from interlace.audiovisual.timelines.event_list import read_event_list

    named = next((name for name in FORMATS if path.name.startswith(name)), "hmdb51")

    def read(format: str) -> str:
        found = read_annotations(path.parent, path, format=format, missing="skip")
        inside = all(str(sample.path).startswith(str(path.parent)) for sample in found.samples)
        return "samples" if inside else "samples elsewhere"

    return {
        "auto": lambda: read("auto"),
        "detect": lambda: detect_format(path),
        "named": lambda: read(named),
        "classes": lambda: bool(read_class_names(path)) and "classes",
        "ave": lambda: bool(read_ave_events(path)) and "events",
        "events": lambda: bool(read_event_list(path)) and "events",
    }


def _networks(path: Path) -> dict[str, Attempt]:
    import interlace
    from interlace.audiovisual.tasks.event_checkpoint import load_event_model
    from interlace.exported import read_card
    from interlace.released.reading import read_source

    if path.suffix == ".pth":
        return {"released": lambda: read_source(path) and "weights"}

    def predict() -> str:
        recognizer = interlace.load(path, device="cpu")
        answer = recognizer(torch.zeros(5, 3, 36, 40, dtype=torch.uint8))
        return "prediction" if answer.top else "nothing"

    found: dict[str, Attempt] = {"card": lambda: read_card(path) and "card", "predict": predict}
    if path.suffix == ".safetensors":
        found["events"] = lambda: load_event_model(path) and "network"
    return found


def _features(path: Path) -> str:
    from interlace.audiovisual.features.feature_file import read_features

    return f"{read_features(path) is not None and 'features'}"


def _timelines(path: Path) -> str:
    from interlace.audiovisual.timelines.timeline_file import load_timelines

    return f"{len(list(load_timelines(path))) > 0 and 'timelines'}"


def _resume(path: Path, seeds: Path) -> str:
    from fuzzing.resumed import train_tiny

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        train_tiny(seeds / "clips", path, epochs=2, resume=True)
    return "run"


OWN = (ValueError, OSError)
"""What the command line prints as one line; AnnotationError, VideoError, CheckpointError are of the first kind."""


def judged(error: BaseException, case: Case) -> str | None:
    """What is wrong with an error that a user would get; None if it names the file and fits in a line."""
    text = str(error)
    if not isinstance(error, OWN):
        return "a traceback"
    if str(case.path) not in text and str(case.path.parent) not in text:
        return "the file is not named"
    if "\n" in text.strip() and not isinstance(error, AnnotationError):
        return "several lines"
    return None
