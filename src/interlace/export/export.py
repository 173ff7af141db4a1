"""From a checkpoint to a file that other programs run, compared with the network before it gets its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from interlace.benchmark.machine import describe_machine
from interlace.checkpoints import ModelCard, load_checkpoint
from interlace.data.annotations import Annotations
from interlace.data.splits import trained_on
from interlace.data.transforms import Preprocess
from interlace.data.video import Flow
from interlace.evaluation.checks import check_clips
from interlace.evaluation.evaluate import trained_note
from interlace.export.aside import written_aside
from interlace.export.clips import RealClips, built_in_clips, read_clips
from interlace.export.files import (
    RUNTIMES,
    Format,
    about_graph,
    described_input,
    final_files,
    format_of,
    missing_for,
    write_files,
)
from interlace.export.int8 import Accuracy, Inputs, compare_accuracy, judge_accuracy, quantize, score
from interlace.export.latency import EAGER, measure_latency
from interlace.export.network import Network
from interlace.export.parity import RELATIVE_LIMIT, Parity, compare_answers, in_batches, judge
from interlace.export.report import ExportReport
from interlace.export.wrappers import ClipGraph, StreamGraph
from interlace.exported import ExportedModel, is_exported, load_model
from interlace.exported.about import About
from interlace.exported.beside import write_beside
from interlace.exported.signal_stack import signal_stack_kept
from interlace.models import VideoModel
from interlace.optimization import optimize

INT8 = "openvino int8"
CALIBRATION_CLIPS = 100
CALIBRATION_FRAMES = 200
"""Of a stream, where each frame is an input."""


def export(
    checkpoint: str | Path,
    output: str | Path,
    *,
    format: Format | None = None,
    streaming: bool = False,
    preprocessing: Literal["inside", "beside"] = "inside",
    clips: Annotations | None = None,
    num_clips: int = 16,
    int8: bool = False,
    calibration: Annotations | None = None,
    max_drop: float | int = 1.0,
    flow: Flow | None = None,
    frame_template: str | None = None,
    rounds: int = 15,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Write a network as an ONNX, OpenVINO or torch.export file, if it answers as the network does.

    The file is written aside, opened again as anybody opens it, and run on real clips beside the network. Only then
    it gets its name, as do the weights and the JSON file that belong to it. Everything is computed on the CPU, with
    as many threads as PyTorch has.

    Args:
        checkpoint: what training wrote.
        output: the file; its ending tells the format: .onnx, .pt2 (torch-export), .xml (openvino).
        format: the same in a word, which is then checked.
        streaming: the graph steps through frames and hands its state on; for networks that do not look ahead.
        preprocessing: ``inside``: the graph takes uint8 pixels and normalises them. ``beside``: it takes normalised
            float32; how to make it stands in the JSON file, as resizing and cropping do in both cases.
        clips: real clips to compare on, and for int8 to score; without them those of the built-in data are rendered.
        num_clips: so many of them are compared, evenly spaced.
        int8: quantize an OpenVINO graph.
        calibration: training clips to quantize by.
        max_drop: points of accuracy that int8 may lose.
        flow: see :func:`interlace.load`.
        frame_template: as there.
        rounds: how often each network is timed.
        overwrite: replace files of these names.
        progress: is told what is being done.

    Raises:
        ParityError: the file does not answer as the network, or int8 loses too much; nothing is written.
        ExportError: it cannot be exported, or the extra is not installed.
        ValueError: an argument does not fit, a file exists, the checkpoint or the clips cannot be read.

    Example:
        >>> from interlace.export.export import export
        >>> print(export("best.safetensors", "model.onnx"))  # doctest: +SKIP
        exported: model.onnx (onnx, 44.9 MB), tin_resnet18 of best.safetensors
        ...
    """
    output = Path(output)
    format = format_of(output, format)
    _check(checkpoint, output, format, clips, calibration, int8, num_clips, max_drop, rounds, overwrite)
    progress(f"loading {checkpoint}")
    model, card = load_checkpoint(checkpoint)
    if int8 and clips is not None:
        check_clips(Path(checkpoint), card, clips)
    graph = (StreamGraph if streaming else ClipGraph)(model, pixels=preprocessing == "inside")
    about = about_graph(graph, int(card.preprocessing["image_size"]))

    with written_aside(output) as folder:
        path, others = folder / output.name, folder / "compared"
        work = _Work(checkpoint, model, card, streaming, flow, frame_template, progress)
        clips = built_in_clips(folder, card, num_clips) if clips is None else clips
        # Of a stream twice as many frames as in a clip: a state that is handed on wrongly may show late.
        real = work.read(clips, num_clips, 2 * card.num_segments if streaming else None)
        float_path = others / f"graph{output.suffix}" if int8 else path
        files = write_files(graph, about, card, format, float_path, others, progress)
        networks = work.networks(files)
        parity = work.compare(networks, real)
        exported = RUNTIMES[format]
        judge(parity[exported], output, exported)
        accuracy: Accuracy | None = None
        if int8 and calibration is not None:
            about = work.quantize(float_path, path, calibration)
            exported, networks[INT8] = INT8, work.opened(path)
            parity |= work.compare({EAGER: networks[EAGER], INT8: networks[INT8]}, real)
            accuracy = work.accuracy(networks[INT8], output, clips, calibration, max_drop)
            judge_accuracy(accuracy, output)
        calls = {name: network.one_call(real.pixels) for name, network in networks.items()}
        report = ExportReport(
            checkpoint=str(checkpoint),
            model=card.model,
            output=output,
            format=format,
            takes=described_input(graph, about),
            megabytes=sum((folder / file.name).stat().st_size for file in final_files(output)[1:]) / 1e6,
            clips=_described(real, streaming),
            exported=exported,
            parity=parity,
            latency=measure_latency(calls, rounds=rounds, progress=progress),
            machine=describe_machine("cpu"),
            unit="frame" if streaming else "clip",
            accuracy=accuracy,
            notes=(*_notes(real, files, parity), *(_notes_of_int8(clips, card) if int8 else ())),
        )
        write_beside(path, about, card, parity=report.summary())
    return report


@dataclass(frozen=True)
class _Work:
    """The steps of an export, with what all of them need."""

    checkpoint: str | Path
    model: VideoModel
    card: ModelCard
    streaming: bool
    flow: Flow | None
    frame_template: str | None
    progress: Callable[[str], None]

    def read(self, clips: Annotations, num_clips: int, num_frames: int | None = None) -> RealClips:
        return read_clips(
            clips,
            self.card,
            num_clips,
            num_frames=num_frames,
            flow=self.flow,
            frame_template=self.frame_template,
            progress=self.progress,
        )

    def opened(self, path: Path) -> Network:
        return Network(self.loaded(path), self.card, streaming=self.streaming)

    def loaded(self, path: Path) -> ExportedModel:
        with signal_stack_kept():
            return cast(ExportedModel, load_model(path)[0])

    def networks(self, files: Mapping[str, Path]) -> dict[str, Network]:
        """The network, its optimized copy, and the exported ones."""
        self.progress("opening the networks to compare")
        fast = optimize(self.model, verify=False)
        dtype = str(fast.dtype).removeprefix("torch.")
        return {
            EAGER: Network(self.model, self.card, streaming=self.streaming),
            f"optimized {dtype}": Network(fast, self.card, streaming=self.streaming),
            **{name: self.opened(path) for name, path in files.items()},
        }

    def compare(self, networks: Mapping[str, Network], real: RealClips) -> dict[str, Parity]:
        """All others with the first one."""
        (first, network), *others = networks.items()
        self.progress(f"comparing {len(real)} clips ({first})")
        wanted = network.answers(real.pixels)
        if not wanted.isfinite().all():
            raise ValueError(
                f"{self.checkpoint}: the network gives numbers that are not finite; it diverged in training: train it "
                "again with a lower learning rate"
            )
        found = {}
        for name, other in others:
            self.progress(f"comparing {len(real)} clips ({name})")
            found[name] = compare_answers(wanted, other.answers(real.pixels), real.paths)
        return found

    def quantize(self, source: Path, target: Path, calibration: Annotations) -> About:
        """The int8 copy of a file."""
        model = self.loaded(source)
        clips = self.read(calibration, self.num_calibration).pixels
        self.progress(f"quantizing on {len(clips)} clips; this can take minutes")
        taken = clips if model.about.pixels else Preprocess(model.mean, model.std)(clips)
        return quantize(source, target, Inputs(model, taken), self.card)

    def accuracy(
        self,
        small: Network,
        output: Path,
        clips: Annotations,
        calibration: Annotations,
        max_drop: float | int,
    ) -> Accuracy:
        """Before and after."""
        scores = []
        for model, path in ((self.model, Path(self.checkpoint)), (small.model, output)):
            self.progress(f"scoring {path.name} on {len(clips)} clips")
            scores.append(
                score(model, self.card, clips, path, flow=self.flow, frame_template=self.frame_template)
            )
        before, after = scores
        return compare_accuracy(
            before, after, clips, calibration, min(self.num_calibration, len(calibration)), float(max_drop)
        )

    @property
    def num_calibration(self) -> int:
        return max(1, CALIBRATION_FRAMES // self.card.num_segments) if self.streaming else CALIBRATION_CLIPS


def _check(
    checkpoint: str | Path,
    output: Path,
    format: Format,
    clips: Annotations | None,
    calibration: Annotations | None,
    int8: bool,
    num_clips: int,
    max_drop: float | int,
    rounds: int,
    overwrite: bool,
) -> None:
    """What can be known to be wrong before anything is loaded."""
    if is_exported(checkpoint):
        raise ValueError(f"{checkpoint} is exported already; give the checkpoint that it was made of")
    for name, number in {"num_clips": num_clips, "rounds": rounds}.items():
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1")
    if not max_drop >= 0:
        raise ValueError(f"max_drop={max_drop} must be at least 0")
    if int8 and format != "openvino":
        raise ValueError(f"{output}: int8 is made of an OpenVINO graph; name a file that ends in .xml")
    if int8 and (clips is None or calibration is None):
        raise ValueError(
            "int8 needs real clips: training clips to calibrate by, and labelled ones to score before and after; "
            "name their folder as data"
        )
    there = [path for path in reversed(final_files(output)) if path.exists()]
    if folders := [path for path in there if path.is_dir()]:
        raise ValueError(f"{folders[0]} is a folder; give the name of a file that is to be written")
    if there and not overwrite:
        raise ValueError(f"{there[0]} exists; give another output, or allow it to be overwritten (overwrite)")
    if missing := missing_for(format, int8=int8):
        raise missing


def _described(real: RealClips, streaming: bool) -> str:
    """What the networks were compared on, in words."""
    frames = f" of {real.pixels.shape[1]} frames, step by step" if streaming else ""
    sizes = " and ".join(str(size) for size in sorted({len(batch) for batch in in_batches(real.pixels)}))
    return f"{len(real)} clips{frames}, from {real.source}, in batches of {sizes}"


def _notes(real: RealClips, files: Mapping[str, Path], parity: Mapping[str, Parity]) -> tuple[str, ...]:
    """What a reader should know of the table."""
    absent = [name for format, name in RUNTIMES.items() if name not in files and missing_for(format)]
    far = [name for name in files if name in parity and not parity[name].is_close]
    return (
        *(f"{name} is not compared: not installed" for name in absent),
        *(f"{name} is off by more than {RELATIVE_LIMIT:g}: do not run this network with it" for name in far),
        *(f"skipped {path}: {reason}" for path, reason in real.skipped),
    )


def _notes_of_int8(clips: Annotations, card: ModelCard) -> tuple[str, ...]:
    seen = trained_on(clips, [card.training])
    return (trained_note(len(seen), len(clips)),) if seen else ()
