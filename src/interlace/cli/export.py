"""`interlace export MODEL --output FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import parse

if TYPE_CHECKING:
    from interlace.checkpoints import ModelCard
    from interlace.data.annotations import Annotations


def run(arguments: list[str]) -> int:
    """Export a network."""
    return export(**parse("export", export, arguments))


def export(
    model: Path,
    *,
    output: Path,
    format: Literal["onnx", "torch-export", "openvino"] | None = None,
    streaming: bool = False,
    preprocessing: Literal["inside", "beside"] = "inside",
    data: Path | None = None,
    annotations: Path | None = None,
    labels: Path | None = None,
    clips: int = 16,
    int8: bool = False,
    calibration: Path | None = None,
    max_drop: float = 1.0,
    frames: str | None = None,
    flow: Literal["dis", "dis_fast", "tvl1"] | Path | None = None,
    threads: int | None = None,
    rounds: int = 15,
    overwrite: bool = False,
    json: Path | None = None,
    allow_outside: bool = False,
) -> int:
    """Write a network as a file that other programs run, and compare the two on real clips.

    The file gets its name only if it answers as the network does. Beside it stands FILE.json: labels, sampling and
    preprocessing for other programs, and how it compared. `interlace predict`, `evaluate` and `stream` take the file
    like a checkpoint.

    Args:
        model: Checkpoint that `interlace train` wrote.
        output: The file to write: model.onnx, model.pt2 (torch-export) or model.xml (openvino, with model.bin).
        format: The format in a word; by default the ending of the output tells it.
        streaming: The graph steps through single frames, with its state as inputs and outputs; for networks that do
            not look ahead (tsn_*, tsm_causal_*, tin_causal_*).
        preprocessing: inside: the graph takes uint8 pixels and normalises them; beside: it takes float32, normalised
            as FILE.json says.
        data: Folder of videos to compare on; without it clips of the built-in data are rendered.
        annotations: Annotation file of the clips to compare on and, with --int8, to score; by default, with --int8,
            those that training validated on, else val.csv or test.csv.
        labels: File with the class names, where the annotations have one.
        clips: How many clips are compared.
        int8: Quantize an OpenVINO graph to 8 bits by training clips of --data, and score it before and after.
        calibration: Annotation file of the training clips for --int8; by default those that training had, else
            train.csv.
        max_drop: Points of accuracy that --int8 may lose.
        frames: Template of frame files, where videos are folders of pictures; by default that of the training.
        flow: Where the network sees optical flow: the folder that `interlace flow` wrote, or a method to compute it
            with; by default training's method.
        threads: Threads of the CPU; by default PyTorch's choice.
        rounds: Measurements of each network's time.
        overwrite: Replace files of these names.
        json: Also write the report, clip by clip, to this file.
        allow_outside: Take clips that a list names outside of the data folder, by absolute paths or "..".
    """
    import torch

    from interlace.allocator import keep_freed_memory
    from interlace.export.export import export as write

    for name, number in {"threads": threads, "clips": clips, "rounds": rounds}.items():
        if number is not None and number < 1:
            raise ValueError(f"--{name} {number} must be at least 1")
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    compared, training = _clips(
        model, data, annotations, labels, calibration, int8=int8, outside=allow_outside
    )
    progress = _Progress()
    try:
        report = write(
            model,
            output,
            format=format,
            streaming=streaming,
            preprocessing=preprocessing,
            clips=compared,
            num_clips=clips,
            int8=int8,
            calibration=training,
            max_drop=max_drop,
            flow=flow,
            frame_template=frames,
            rounds=rounds,
            overwrite=overwrite,
            progress=progress,
        )
    finally:
        progress.end()
    print(report)
    if json is not None:
        _write(json, report.to_dict())
    return 0


def _clips(
    model: Path,
    data: Path | None,
    annotations: Path | None,
    labels: Path | None,
    calibration: Path | None,
    *,
    int8: bool,
    outside: bool,
) -> tuple[Annotations | None, Annotations | None]:
    """What to compare on, and what to calibrate by."""
    from interlace.checkpoints import read_card
    from interlace.cli.data import evaluation_clips
    from interlace.export.clips import videos_below

    if data is None:
        given = {"annotations": annotations, "labels": labels, "calibration": calibration}
        useless = [f"--{name}" for name, value in given.items() if value is not None]
        if useless or int8:
            raise ValueError(f"{(useless or ['--int8'])[0]} needs --data, the folder of the videos")
        return None, None
    card = read_card(model)
    if not int8:
        if calibration is not None:
            raise ValueError("--calibration is for --int8")
        if annotations is None:
            return videos_below(data, card), None
    compared = evaluation_clips(data, annotations, card=card, labels=labels, outside=outside)
    return compared, _training_clips(data, calibration, labels, card, outside=outside) if int8 else None


def _training_clips(
    data: Path, file: Path | None, labels: Path | None, card: ModelCard, *, outside: bool
) -> Annotations:
    """Those of a file, those that training had, or those of the folder's own split."""
    from interlace.data.annotations import read_annotations
    from interlace.data.splits import read_splits

    if file is not None:
        return read_annotations(data, file, labels=labels, classes=card.labels, outside=outside)
    split = card.training.get("split", {}) if card.training.get("data") == str(data.resolve()) else {}
    train, val = (Path(split[name]) if split.get(name) else None for name in ("train", "val"))
    return read_splits(
        data,
        train,
        val,
        format=split.get("format", "auto"),
        labels=labels or (Path(split["labels"]) if split.get("labels") else None),
        val_fraction=split.get("val_fraction", 0.2),
        seed=card.training.get("seed", 0) if split else 0,
        outside=outside,
    )[0]


class _Progress:
    """A line on stderr for each step; on a terminal what stands in brackets changes within the line."""

    def __init__(self) -> None:
        self.step = ""
        self.in_place = sys.stderr.isatty()

    def __call__(self, message: str) -> None:
        step = message.partition(" (")[0]
        if self.in_place:
            self._write("\r\033[K" if step == self.step else "\n" if self.step else "", message)
        elif step != self.step:
            self._write("", f"{step}\n")
        self.step = step

    def end(self) -> None:
        """Leave the last line as it is."""
        if self.in_place and self.step:
            self._write("", "\n")

    def _write(self, before: str, text: str) -> None:
        print(before + text, end="", file=sys.stderr, flush=True)


def _write(file: Path, numbers: dict[str, object]) -> None:
    import json

    from interlace.files import whole_file
    from interlace.provenance import provenance

    with whole_file(file) as beside:
        beside.write_text(json.dumps({**provenance(), **numbers}, indent=1) + "\n")
    print(f"written:  {file}")
