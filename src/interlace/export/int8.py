"""int8: an OpenVINO graph quantised by NNCF on real training clips, and what that costs in accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.video import Flow
from interlace.evaluation.checks import check_finite
from interlace.evaluation.loop import score_clips
from interlace.evaluation.protocol import get_protocol
from interlace.evaluation.scores import Scores
from interlace.export.files import missing_for
from interlace.export.openvino_file import save_openvino
from interlace.export.parity import ParityError
from interlace.export.quiet import quietly
from interlace.exported import ExportedModel
from interlace.exported.about import About, to_metadata
from interlace.exported.signal_stack import signal_stack_kept
from interlace.telemetry import unobserved

PROTOCOL = "1clip-center"
IMAGE_AXES = 4
"""Of a tensor that holds images: frames, channels, rows, columns."""


@dataclass(frozen=True)
class Accuracy:
    """What the network and its int8 copy score on the same labelled clips, in percent; one line when printed.

    Example:
        >>> from interlace.export.int8 import Accuracy
        >>> print(Accuracy("top1", 83.0, 82.5, 0.97, 400, "test.csv", 100, "train.csv", 1.0))
        top1 83.00 before and 82.50 after, 0.50 points lost (1 may be lost); best class the same for 97.0% of 400 clips
    """

    metric: str
    before: float
    after: float
    top1_agreement: float
    """Share of the clips with the same best class."""
    num_clips: int
    clips: str
    num_calibration_clips: int
    calibration_clips: str
    max_drop: float
    """Points that may be lost."""
    protocol: str = PROTOCOL

    @property
    def drop(self) -> float:
        """Points lost; below zero where int8 is better."""
        return self.before - self.after

    @property
    def is_kept(self) -> bool:
        """Whether no more is lost than may be."""
        return self.drop <= self.max_drop

    def __str__(self) -> str:
        change = f"{abs(self.drop):.2f} points {'lost' if self.drop >= 0 else 'gained'}"
        return (
            f"{self.metric} {self.before:.2f} before and {self.after:.2f} after, {change} "
            f"({self.max_drop:g} may be lost); best class the same for {self.top1_agreement:.1%} of "
            f"{self.num_clips} clips"
        )


class Inputs:
    """Real inputs of an exported graph, one clip or one frame with its state at a time; each iteration begins anew.

    Args:
        model: the float32 graph; one that streams is stepped through each clip.
        clips: as :class:`interlace.exported.ExportedModel` takes them.

    Example:
        >>> from interlace.export.int8 import Inputs
        >>> [sorted(inputs) for inputs in Inputs(model, clips)]  # doctest: +SKIP
        [['clip'], ['clip'], ['clip']]
    """

    def __init__(self, model: ExportedModel, clips: Shaped[Tensor, "N T C H W"]) -> None:
        self.model, self.clips = model, clips

    def __len__(self) -> int:
        return len(self.clips) * (self.clips.shape[1] if self.model.streams else 1)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for clip in self.clips.split(1):
            if not self.model.streams:
                yield {"clip": clip.numpy()}
                continue
            state = self.model.init_state(1)
            for frame in clip.unbind(1):
                tensors = (frame.contiguous(), *state)
                yield {
                    name: tensor.numpy()
                    for name, tensor in zip(self.model.about.input_names, tensors, strict=True)
                }
                _, state = self.model.step(frame, state)


def quantize(source: Path, target: Path, inputs: Inputs, card: ModelCard) -> About:
    """Write the int8 copy of an OpenVINO file; what its metadata says is returned.

    Convolutions get int8 weights and inputs; the small nets of TIN and the products with its matrix stay in float32,
    as :func:`interlace.optimize` leaves them.

    Args:
        source: the .xml of the float32 graph.
        target: the .xml to write.
        inputs: what it is calibrated on.
        card: of the network.

    Raises:
        ExportError: the extra is not installed, or NNCF cannot do it, with what it said.
    """
    if (missing := missing_for("openvino", int8=True)) is not None:
        raise missing
    about = replace(inputs.model.about, precision="int8")
    with quietly(f"quantize {source.name}"), signal_stack_kept():
        with unobserved():
            import nncf  # which talks while it is loaded
            import openvino

        graph = openvino.Core().read_model(source)
        small = nncf.quantize(
            graph,
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            # Slower and closer: in one run on UTD-MHAD's test clips TIN kept 98.6 % of its answers, else 94.7 %.
            fast_bias_correction=False,
            ignored_scope=nncf.IgnoredScope(names=_precise(graph), validate=False),
        )
    save_openvino(small, target, metadata=to_metadata(about, card))
    return about


def _precise(graph: Any) -> list[str]:
    """Names of the operations that stay in float32: offsets, weights and logits want more than 8 bits.

    These are all that have no image any more, and the products by which offsets and weights come back to the images.
    """
    return [
        operation.get_friendly_name()
        for operation in graph.get_ops()
        if operation.get_output_size()
        and (
            operation.get_type_name() in ("MatMul", "Multiply", "Subtract")
            or operation.get_output_partial_shape(0).rank.get_length() < IMAGE_AXES
        )
    ]


def score(
    model: nn.Module,
    card: ModelCard,
    clips: Annotations,
    name: Path,
    *,
    flow: Flow | None = None,
    frame_template: str | None = None,
    num_workers: int | Literal["auto"] = "auto",
) -> Scores:
    """Probabilities of labelled clips by the package's own evaluation; clips that cannot be read are left out.

    Raises:
        ValueError: no clip can be read, or scores are not numbers; ``name`` stands for the network in the message.
    """
    rows: dict[int, Tensor] = {}
    reason = "it names none"
    batches = score_clips(
        model,
        card,
        clips,
        get_protocol(PROTOCOL),
        num_workers=num_workers,
        on_error="skip",
        flow=flow,
        frame_template=frame_template,
        progress=True,
        title=f"scoring {name.name}",
    )
    with closing(batches):
        for batch in batches:
            check_finite(batch, clips, name)
            rows.update(zip(batch.indices, batch.scores, strict=True))
            reason = batch.errors[0][1] if batch.errors else reason
    if not rows:
        raise ValueError(f"{clips.source}: no clip of it can be scored; {reason}")
    done = sorted(rows)
    samples = tuple(clips.samples[i] for i in done)
    return Scores(samples, clips.classes, torch.stack([rows[i] for i in done]), card.multi_label)


def compare_accuracy(
    before: Scores,
    after: Scores,
    clips: Annotations,
    calibration: Annotations,
    num_calibration_clips: int,
    max_drop: float,
) -> Accuracy:
    """The main metric of both, top-1 or, of several labels a clip, mAP."""
    metric = "mAP" if before.multi_label else "top1"
    return Accuracy(
        metric=metric,
        before=before.measure()[metric],
        after=after.measure()[metric],
        top1_agreement=(before.predicted == after.predicted).double().mean().item(),
        num_clips=len(before.samples),
        clips=clips.source,
        num_calibration_clips=num_calibration_clips,
        calibration_clips=calibration.source,
        max_drop=max_drop,
    )


def judge_accuracy(accuracy: Accuracy, output: Path) -> None:
    """Int8 may lose only so much.

    Raises:
        ParityError: it loses more; the message has both accuracies, and what can be done.

    Example:
        >>> from pathlib import Path
        >>> from interlace.export.int8 import Accuracy, judge_accuracy
        >>> judge_accuracy(Accuracy("top1", 83.0, 82.5, 0.97, 400, "test.csv", 100, "train.csv", 1.0), Path("m.xml"))
    """
    if accuracy.is_kept:
        return
    raise ParityError(
        f"{output} is not written: int8 loses too much: {accuracy}. Calibrate by clips that are more like those it "
        f"will see (calibration), allow more (max_drop={math.ceil(10 * accuracy.drop) / 10:g}), or export float32"
    )
