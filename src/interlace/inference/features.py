"""What a network makes of a video before it decides: features, logits or probabilities, for other programs to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from interlace.data.mirror import mirror_of
from interlace.data.views import spatial_views
from interlace.inference.batch import Failure
from interlace.inference.recognizer import VIEWS_PER_FORWARD, Recognizer, short_note
from interlace.modality import snippet_length
from interlace.models import VideoClassifier

What = Literal["features", "frames", "logits", "probabilities"]


@dataclass(frozen=True)
class VideoFeatures:
    """What one video is to a network."""

    path: str
    values: Float32[np.ndarray, "*shape"]
    """(D,), or (T, D) for each frame, or (K,) for logits and probabilities."""
    notes: tuple[str, ...] = ()
    """What was odd about the file, as in a prediction."""


class FeatureExtractor:
    """Videos to vectors, by the sampling and the preprocessing of a recognizer.

    Args:
        recognizer: the network.
        what: ``features``: those that the classifier sees, (T, D), averaged over the frames to (D,); ``frames``: one
            vector for each frame, (T, D); ``logits`` and ``probabilities``: one number for each label, (K,).
        num_clips: temporal samples of a video; what is one vector is their mean, frames follow each other.

    Attributes: ``shape`` (of the values of every video).

    Raises:
        ValueError: the network has no features (an ensemble, an exported file), or ``num_clips`` is below 1.

    Example:
        >>> import torch
        >>> from interlace.checkpoints import ModelCard
        >>> from interlace.inference import Recognizer
        >>> from interlace.inference.features import FeatureExtractor
        >>> from interlace.models import create_model
        >>> model = create_model("tsn_resnet18", num_classes=2, num_segments=4)
        >>> card = ModelCard(
        ...     model=model.builder, model_args=model.builder_args, labels=("wave", "clap"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
        ... )
        >>> extractor = FeatureExtractor(Recognizer(model, card, device="cpu"), what="frames", num_clips=2)
        >>> extractor.shape, extractor.of_views(torch.zeros(2, 4, 3, 32, 32, dtype=torch.uint8)).shape
        ((8, 512), (8, 512))
    """

    def __init__(self, recognizer: Recognizer, *, what: What = "features", num_clips: int = 1) -> None:
        if what not in get_args(What):
            raise ValueError(f"what={what!r} is unknown; choose one of {', '.join(get_args(What))}")
        if num_clips < 1:
            raise ValueError(f"num_clips={num_clips} must be at least 1")
        if what in ("features", "frames") and not isinstance(recognizer.model, VideoClassifier):
            raise ValueError(
                f"{recognizer.path or recognizer.card.model} has no features of its own: it is an ensemble of "
                "networks, or an exported file; take the checkpoint of a single network, or ask for its logits"
            )
        self.recognizer, self.what, self.num_clips = recognizer, what, num_clips
        size = recognizer.card.preprocessing["image_size"]
        blank = torch.zeros(
            num_clips, recognizer.card.num_segments, recognizer.model.in_chans, size, size, dtype=torch.uint8
        )
        self.shape: tuple[int, ...] = tuple(self.of_views(blank).shape)

    def __call__(self, path: str | Path) -> VideoFeatures:
        """The values of one video file or folder of frames.

        Raises:
            ValueError: the video cannot be read, or the network gives numbers that are not finite.
        """
        recognizer = self.recognizer
        size, mirror = recognizer.card.preprocessing["image_size"], mirror_of(recognizer.modality)
        with recognizer.open(path) as reader:
            clips = recognizer.sampling.test_indices(reader.num_frames, self.num_clips)
            frames = [reader.frames_at(indices) for indices in clips]
            views = torch.cat([spatial_views(clip, "center", size, mirror=mirror) for clip in frames])
            length = snippet_length(recognizer.modality)
            parts = recognizer.card.sampling.get("parts", [recognizer.card.sampling])
            longest = max(part["num_segments"] for part in parts)
            notes = (*reader.notes, *short_note(reader.num_frames, longest, length))
        return VideoFeatures(str(path), self.of_views(views), notes)

    def of_views(self, views: UInt8[Tensor, "V T C S S"]) -> Float32[np.ndarray, "*shape"]:
        """The values of decoded clips of one video."""
        if self.what in ("features", "frames"):
            features = self._features(views)
            values = features.mean((0, 1)) if self.what == "features" else features.flatten(0, 1)
        else:
            logits = self.recognizer.logits(views)
            values = (self.recognizer.probabilities(logits) if self.what == "probabilities" else logits).mean(
                0
            )
        return values.float().numpy()

    @torch.inference_mode()
    def _features(self, views: UInt8[Tensor, "V T C S S"]) -> Float[Tensor, "V T2 D"]:
        recognizer, model = self.recognizer, self.recognizer.model
        assert isinstance(model, VideoClassifier)
        parts = [
            model.forward_features(recognizer.preprocess(part.to(recognizer.device))).cpu().double()
            for part in views.split(VIEWS_PER_FORWARD)
        ]
        features = torch.cat(parts)
        if not features.isfinite().all():
            raise ValueError("the network gives features that are not finite; use another checkpoint")
        return features


def features_of(extractor: FeatureExtractor, path: Path) -> VideoFeatures | Failure:
    """The features of one video, or why there are none.

    Example:
        >>> from pathlib import Path
        >>> from interlace.inference.features import features_of
        >>> features_of(extractor, Path("absent.mp4"))  # doctest: +SKIP
        Failure(path='absent.mp4', reason='no such file or folder')
    """
    try:
        if not path.exists():
            return Failure(str(path), "no such file or folder, and no file matches it as a pattern")
        return extractor(path)
    except (ValueError, OSError) as problem:
        reason = " ".join(str(problem).removeprefix(f"{path}:").split())
        return Failure(str(path), reason or type(problem).__name__)
    except MemoryError:
        return Failure(str(path), "its frames do not fit into memory")
