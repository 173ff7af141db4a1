"""Score checkpoints on labelled clips by a protocol, and write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.splits import trained_on
from interlace.data.video import Flow
from interlace.evaluation.checks import check_clips, check_finite, check_members, checked_weights
from interlace.evaluation.loop import ScoredBatch, score_clips
from interlace.evaluation.output import claim_folder, clips_sha256, file_sha256
from interlace.evaluation.protocol import Protocol, get_protocol, probabilities
from interlace.evaluation.report import write_partial, write_report
from interlace.evaluation.scores import Scores, combine
from interlace.exported import (
    ExportedModel,
    device_for,
    files_of,
    is_exported,
    load_model,
    refuse_to_optimize,
)
from interlace.models import VideoModel
from interlace.models.fusion import Average
from interlace.optimization import OptimizedModel, noise_clips
from interlace.optimization import optimize as optimized
from interlace.provenance import describe_device, provenance
from interlace.types import EvalReport


def evaluate(
    checkpoints: Sequence[Path | str],
    annotations: Annotations,
    *,
    protocol: str | Protocol = "1clip-center",
    average: Average | None = None,
    weights: Sequence[float | int] | None = None,
    batch_size: int = 8,
    num_workers: int | Literal["auto"] = "auto",
    device: str = "auto",
    precision: Literal["32", "bf16"] = "32",
    on_error: Literal["raise", "skip"] = "raise",
    frame_template: str | None = None,
    flow: Flow | None = None,
    num_segments: int | None = None,
    data_root: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    optimize: bool = False,
    progress: bool = True,
) -> EvalReport:
    """Score one checkpoint, or several as an ensemble, on labelled clips, and write the report's files.

    The numbers depend on the clips, the checkpoints and the protocol only: not on the batch size, the order
    of the clips or the number of workers. If the run is interrupted, what every checkpoint has scored is kept in
    predictions.csv.part.

    Args:
        checkpoints: one or several; each sees the clips by its own sampling and preprocessing. Exported files
            (.onnx, .pt2, .xml) are scored like checkpoints, by what runs them.
        annotations: the clips, with the classes of the checkpoints in the same order.
        protocol: a name, or a protocol of one's own.
        average: probabilities or logits; replaces the protocol's choice.
        weights: one for each checkpoint; by default all count the same.
        batch_size: views that the network sees at once; bounds the memory.
        num_workers: processes that decode; 0 decodes here, auto goes by the cores and the device.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: 32, or bf16 for mixed arithmetic; an exported file keeps its own.
        on_error: raise at a video that cannot be read, or skip it; skipped and damaged ones are listed.
        frame_template: template of frame files, where videos are folders of pictures; by default training's.
        flow: folder that ``interlace flow`` wrote, or the method that computes the flow, for networks that see flow;
            by default training's.
        num_segments: frames that the networks see in a clip; by default as many as in training. An exported file
            keeps its own.
        data_root: folder of the clips; by paths below it, clips that a checkpoint was trained on are counted
            and noted in the report. Without it only those that still lie where they were are known.
        output: the folder to write; by default evaluation-PROTOCOL beside the first checkpoint (with its
            name, if that is not best or last). Files of the
            same evaluation (same weights, clips, protocol) are replaced, those of another one are an error.
        overwrite: replace the files of another evaluation too.
        optimize: score by faster copies (:func:`interlace.optimize`), in float32 unless precision is bf16; not for
            exported files, which are optimized already.
        progress: show a bar on a terminal.

    Raises:
        ValueError: classes that disagree, weights that do not fit, an unknown protocol, no clip that could be
            read, scores that are not numbers, an output folder that holds another evaluation, an exported file that
            shall change its precision or its frames or that cannot run on the device.

    Example:
        >>> from interlace.evaluation import evaluate
        >>> report = evaluate(["best.safetensors"], annotations, protocol="full-res")  # doctest: +SKIP
        >>> print(report)  # doctest: +SKIP
        full-res, 400 clips: top1 91.25, top5 99.50, mean_class_accuracy 90.87
    """
    started = time.monotonic()
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    protocol = replace(protocol, average=average or protocol.average)
    paths = [Path(path) for path in checkpoints]
    shares = checked_weights(weights, len(paths))
    targets = [device_for(path, device) for path in paths]
    _check_exported(paths, precision, optimize=optimize)
    members = [
        # A checkpoint goes to the device when its turn comes; an export computes where it was opened.
        load_model(path, num_segments=num_segments, device=target if is_exported(path) else "cpu")
        for path, target in zip(paths, targets, strict=True)
    ]
    check_members(paths, [card for _, card in members])
    check_clips(paths[0], members[0][1], annotations)
    not_new = len(trained_on(annotations, [card.training for _, card in members], data_root))
    told = {"num_segments": num_segments, "flow": None if flow is None else str(flow)}
    details: dict[str, Any] = {
        "average": protocol.average,
        "views": {
            "num_clips": protocol.num_clips,
            "crops": protocol.crops,
            **{name: value for name, value in told.items() if value is not None},
        },
        "checkpoints": [
            {
                "path": str(path),
                "sha256": file_sha256(*files_of(path)),
                "weight": share,
                "model": card.model,
                "num_segments": card.num_segments,
            }
            for path, share, (_, card) in zip(paths, shares, members, strict=True)
        ],
        "num_trained_on": not_new,
        "data": annotations.source,
        "data_sha256": clips_sha256(annotations),
        "num_classes": len(annotations.classes),
        "multi_label": members[0][1].multi_label,
        "precision": precision + (", optimized" if optimize else ""),
        **({"optimized": []} if optimize else {}),
        "device": ", ".join(dict.fromkeys(describe_device(str(target)) for target in targets)),
        "batch_size": batch_size,
        **provenance(),
    }
    output = output or _folder(paths[0], protocol, num_segments)
    output = claim_folder(output, protocol.name, details, overwrite=overwrite)
    notes = [trained_note(not_new, len(annotations))] if not_new else []
    notes += _resampled_notes(paths, members, num_segments)
    tally = _Tally(annotations, protocol, shares, multi_label=members[0][1].multi_label)
    try:
        for number, (path, target, (model, card)) in enumerate(zip(paths, targets, members, strict=True)):
            network: VideoModel | OptimizedModel | ExportedModel = model
            if optimize and not isinstance(model, ExportedModel):
                network = _optimized(model.to(target).eval(), card, precision)
                details["optimized"].append(f"{path.name}: {network.agreement}")
            batches = score_clips(
                network,
                card,
                annotations,
                protocol,
                batch_size=batch_size,
                num_workers=num_workers,
                device=target,
                precision=precision,
                on_error=on_error,
                frame_template=frame_template,
                flow=flow,
                progress=progress,
                title=path.name if len(paths) == 1 else f"{path.name} ({number + 1} of {len(paths)})",
            )
            with closing(batches):  # the bar ends before anything else is printed
                for batch in batches:
                    check_finite(batch, annotations, path)
                    tally.add(number, batch)
            model.cpu()  # room on the device for the next one
            network.cpu()
    except BaseException:  # Ctrl-C too: hours of scores are not thrown away
        kept = write_partial(output, tally.scores(), len(annotations), num_checkpoints=len(paths))
        print(kept, file=sys.stderr)
        raise

    scores = tally.scores()
    if not scores.samples:
        reason = next(iter(tally.errors.values()), "there are no clips")
        raise ValueError(
            f"{annotations.source}: none of the {len(annotations)} clips could be scored; {reason}"
        )
    report = EvalReport(
        protocol=protocol.name,
        metrics=scores.measure(),
        num_clips=len(scores.samples),
        skipped=(
            *tally.with_paths(tally.errors),
            *((str(path), "it is not on disk") for path in annotations.missing),
        ),
        damaged=tally.with_paths(tally.notes),
        output=output,
        details={
            **details,
            "notes": [*notes, *scores.notes()],
            "seconds": round(time.monotonic() - started, 2),
        },
    )
    write_report(output, report, scores)
    return report


def _check_exported(paths: Sequence[Path], precision: str, *, optimize: bool) -> None:
    """An exported file computes as it was exported."""
    for path in filter(is_exported, paths):
        if optimize:
            refuse_to_optimize(path)
        if precision != "32":
            raise ValueError(
                f"{path}: an exported file keeps the precision that it was exported in; leave precision out"
            )


def _optimized(model: VideoModel, card: ModelCard, precision: str) -> OptimizedModel:
    size = card.preprocessing["image_size"]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return optimized(model, dtype=dtype, example=noise_clips(model, size, size))


def _folder(path: Path, protocol: Protocol, num_segments: int | None) -> Path:
    """Beside a checkpoint; several of other names may lie in one folder, where a run has its best and its last.

    Exports of one network differ in the ending only.
    """
    of_run = path.name in ("best.safetensors", "last.safetensors")
    parts = [
        protocol.name,
        *([] if of_run else [path.name.replace(".", "-") if is_exported(path) else path.stem]),
    ]
    parts += [] if num_segments is None else [f"{num_segments}segments"]
    return path.parent / f"evaluation-{'-'.join(parts)}"


def trained_note(not_new: int, num_clips: int) -> str:
    """What to say where clips are scored that a network was trained on."""
    return f"{not_new} of {num_clips} clips were trained on: the numbers say nothing about new clips"


def _resampled_notes(
    paths: Sequence[Path],
    members: Sequence[tuple[VideoModel | ExportedModel, ModelCard]],
    num_segments: int | None,
) -> list[str]:
    """Which networks see another number of frames than in training, and that TIN is changed by it."""
    notes = []
    for path, (model, card) in zip(paths, members, strict=True):
        trained = card.training.get("num_segments")
        if num_segments is not None and trained not in (None, num_segments):
            resampled = (
                "; its layers over the frames were resampled along time"
                if any(hasattr(module, "resampled_state") for module in model.modules())
                else ""
            )
            notes.append(f"{path}: trained on {trained} frames a clip, sees {num_segments} here{resampled}")
    return notes


class _Tally:
    """Scores as they come in, by checkpoint and clip; the order of the annotations is restored at the end."""

    def __init__(
        self,
        annotations: Annotations,
        protocol: Protocol,
        weights: Sequence[float | int],
        *,
        multi_label: bool,
    ) -> None:
        self.annotations, self.protocol, self.weights = annotations, protocol, weights
        self.multi_label = multi_label
        self.rows: list[dict[int, Tensor]] = [{} for _ in weights]
        self.errors: dict[int, str] = {}
        self.notes: dict[int, str] = {}

    def add(self, member: int, batch: ScoredBatch) -> None:
        self.rows[member].update(zip(batch.indices, batch.scores, strict=True))
        self.errors.update(batch.errors)
        self.notes.update(batch.notes)

    def with_paths(self, texts: Mapping[int, str]) -> tuple[tuple[str, str], ...]:
        return tuple((str(self.annotations.samples[i].path), texts[i]) for i in sorted(texts))

    def scores(self) -> Scores:
        """Probabilities of the clips that every checkpoint has scored so far."""
        classes = self.annotations.classes
        done = [i for i in range(len(self.annotations)) if all(i in rows for rows in self.rows)]
        samples = tuple(self.annotations.samples[i] for i in done)
        none = torch.zeros(0, len(classes), dtype=torch.float64)
        mean = combine(
            [torch.stack([rows[i] for i in done]) if done else none for rows in self.rows], self.weights
        )
        if self.protocol.average == "logits":
            mean = probabilities(mean, multi_label=self.multi_label)
        return Scores(samples, classes, mean, self.multi_label)
