"""What passes between the parts: frozen, validated, and printed without their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """What a network says of one video, or of one window of it.

    Example:
        >>> from interlace.types import Prediction
        >>> print(Prediction(path="clip.mp4", top=(("wave", 0.9), ("clap", 0.1))))
        clip.mp4: wave 90.0%, clap 10.0%
    """

    path: str
    top: tuple[tuple[str, float], ...]
    """(label, score) pairs, best first; scores are probabilities."""
    start_seconds: float | None = None
    """Where the window begins; None where the prediction is of the whole video."""
    end_seconds: float | None = None
    notes: tuple[str, ...] = ()
    """What was odd about the file: damaged frames, several audio tracks, fewer frames than segments."""

    def __post_init__(self) -> None:
        if not self.top:
            raise ValueError(f"a prediction needs at least one (label, score) pair; {self.path} has none")
        scores = [score for _, score in self.top]
        if not all(map(math.isfinite, scores)):
            raise ValueError(
                f"the scores of {self.path} are not finite: {scores}; the network has diverged or its weights "
                "are damaged, use another checkpoint"
            )
        if scores != sorted(scores, reverse=True):
            raise ValueError(f"the scores of {self.path} are not sorted best first: {scores}")

    @property
    def label(self) -> str:
        """The best label."""
        return self.top[0][0]

    @property
    def score(self) -> float:
        """The best label's probability."""
        return self.top[0][1]

    def __str__(self) -> str:
        span = "" if self.start_seconds is None else f" [{self.start_seconds:.1f}-{self.end_seconds:.1f} s]"
        return f"{self.path}{span}: " + ", ".join(f"{label} {score:.1%}" for label, score in self.top)


@dataclass(frozen=True)
class EvalReport:
    """The result of one evaluation; every number comes with the protocol it was measured by."""

    protocol: str
    metrics: dict[str, float]
    """E.g. top1, top5, mean_class_accuracy (or mAP for multi-label), in percent."""
    num_clips: int
    """Videos that were scored."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(path, reason) of every video that could not be read."""
    output: Path | None = None
    """The folder that holds metrics.json, predictions.csv and the pictures."""
    details: dict[str, Any] = field(default_factory=dict)
    """Checkpoints, commit, versions, device: what is needed to repeat the number."""
    damaged: tuple[tuple[str, str], ...] = ()
    """(path, note) of every video that was scored with stand-ins for damaged frames."""

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in self.metrics.items())
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        damaged = f", {len(self.damaged)} damaged" if self.damaged else ""
        return f"{self.protocol}, {self.num_clips} clips{skipped}{damaged}: {numbers}"
