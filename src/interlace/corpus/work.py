"""What is done to each video: a description that travels to other processes, and what they make of it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from interlace.corpus.arrow import Row, feature_schema, prediction_schema
from interlace.corpus.network import Network
from interlace.data.flow import FlowMethod
from interlace.inference.batch import AnswerOptions, Failure, answer
from interlace.inference.features import FeatureExtractor, What, features_of

Do = Callable[[Path], list[Row] | Failure]
"""One video to rows of the output, or to why there are none."""


@runtime_checkable
class Work(Protocol):
    """A description of what is done; pickled, and small."""

    def settings(self) -> dict[str, Any]:
        """All that changes an answer beside the network, as JSON can hold it."""

    def start(self, network: Network, device: str | None = None) -> tuple[Any, Do]:
        """The columns of the answers, and what makes them; on the work's own device, or another."""


@dataclass(frozen=True)
class How:
    """How the videos are opened and the network computes."""

    frames: str | None = None
    """Template of frame files."""
    device: str = "auto"
    """Of the network."""
    optimize: bool = False
    """A faster copy of the network."""
    flow: FlowMethod | Path | None = None
    """Optical flow, for networks that see it."""

    def settings(self) -> dict[str, Any]:
        """All of it but the device: a job may go on on another one."""
        flow = None if self.flow is None else str(self.flow)
        return {"frames": self.frames, "optimize": self.optimize, "flow": flow}


@dataclass(frozen=True)
class Predicting:
    """Labels and scores of each video, as `interlace predict` gives them.

    Example:
        >>> from interlace.corpus.work import How, Predicting
        >>> from interlace.inference.batch import AnswerOptions
        >>> Predicting(AnswerOptions(top_k=3), How()).settings()["top_k"]
        3
    """

    options: AnswerOptions
    how: How

    def settings(self) -> dict[str, Any]:
        """See :class:`Work`."""
        return {"task": "predict", **asdict(self.options), **self.how.settings()}

    def start(self, network: Network, device: str | None = None) -> tuple[Any, Do]:
        """See :class:`Work`."""
        recognizer = network.open(
            device=device or self.how.device,
            frame_template=self.how.frames,
            optimize=self.how.optimize,
            flow=self.how.flow,
        )

        def do(path: Path) -> list[Row] | Failure:
            found = answer(recognizer, path, self.options)
            if isinstance(found, Failure):
                return found
            return [
                {
                    "start_seconds": prediction.start_seconds,
                    "end_seconds": prediction.end_seconds,
                    "label": prediction.label,
                    "score": prediction.score,
                    "top_labels": [label for label, _ in prediction.top],
                    "top_scores": [score for _, score in prediction.top],
                    "notes": list(prediction.notes),
                }
                for prediction in found
            ]

        return prediction_schema(), do


@dataclass(frozen=True)
class Describing:
    """Features of each video, see :class:`interlace.inference.features.FeatureExtractor`.

    Example:
        >>> from interlace.corpus.work import Describing, How
        >>> Describing("frames", 2, How()).settings()["what"]
        'frames'
    """

    what: What
    num_clips: int
    how: How

    def settings(self) -> dict[str, Any]:
        """See :class:`Work`."""
        return {"task": "features", "what": self.what, "num_clips": self.num_clips, **self.how.settings()}

    def start(self, network: Network, device: str | None = None) -> tuple[Any, Do]:
        """See :class:`Work`."""
        extractor = self.extractor(network, device)

        def do(path: Path) -> list[Row] | Failure:
            found = features_of(extractor, path)
            if isinstance(found, Failure):
                return found
            return [{self.what: found.values, "notes": list(found.notes)}]

        return feature_schema(self.what, extractor.shape), do

    def extractor(self, network: Network, device: str | None = None) -> FeatureExtractor:
        """The network with what is asked of it.

        Raises:
            ValueError: the network has no such thing.
        """
        if not network.has_labels and self.what in ("logits", "probabilities"):
            raise ValueError(
                f"{network.name} is a network without labels: its {self.what} are random; ask for its features or "
                "frames, or give a checkpoint"
            )
        recognizer = network.open(
            device=device or self.how.device, frame_template=self.how.frames, flow=self.how.flow
        )
        return FeatureExtractor(recognizer, what=self.what, num_clips=self.num_clips)
