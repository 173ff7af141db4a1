"""From a checkpoint and a video file to its timeline: by its own sound and picture, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.audiovisual.features.extractor import Extractor, Features, load_extractor
from interlace.audiovisual.models.matcher import CrossModalMatcher
from interlace.audiovisual.prediction.event_prediction import (
    BACKGROUND,
    MATCH,
    EventPrediction,
    EventQuery,
    query_region,
)
from interlace.audiovisual.tasks.event_checkpoint import load_event_model
from interlace.audiovisual.timelines.timeline import NO_EVENT, Batch, Timeline, collate
from interlace.data.reader import OnError
from interlace.devices import choose_device


class EventRecognizer:
    """A network for audio-visual events and the extractor of its features, from one checkpoint.

    Args:
        path: what `interlace av train` wrote.
        device: auto, cpu, cuda, cuda:1 or mps.
        extractor: the ``extractor.safetensors`` that `interlace av features` wrote, for a checkpoint that has none.
            It must be the one that the training features came from.

    Raises:
        ValueError: no such checkpoint, no extractor or one whose features the network does not take, no such device.

    Example:
        >>> from interlace.audiovisual.prediction.localize_file import EventRecognizer
        >>> recognizer = EventRecognizer("best.safetensors")  # doctest: +SKIP
        >>> print(recognizer("church.mp4"))  # doctest: +SKIP
        church.mp4: Church bell (97.0%) from 2 to 7 s
    """

    def __init__(
        self, path: str | Path, *, device: str | torch.device = "auto", extractor: str | Path | None = None
    ) -> None:
        self.path = Path(path)
        self.device = choose_device(device)
        model = load_event_model(self.path)
        self.card = model.card
        self.network: Any = model.network.to(self.device)  # localizes (sel) or matches (cml)
        self.extractor: Extractor = self._choose_extractor(model.extractor, extractor).to(self.device)

    def __call__(
        self,
        video: str | Path,
        *,
        query: EventQuery | None = None,
        on_error: OnError = "skip",
        frame_template: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> EventPrediction:
        """Label every second of a video; or find the seconds that fit to a query.

        Args:
            video: a file, or a folder of pictures, which has no sound.
            query: where the event is in one modality; for checkpoints of cross-modality localization, and only those.
            on_error: ``skip`` lets the nearest frame stand in for a damaged one, ``raise`` refuses the video.
            frame_template: names of the pictures where the video is a folder.
            progress: called with (seconds done, seconds in all).

        Raises:
            VideoError: the video cannot be read.
            ValueError: a query is missing, or there is one too many, or it is outside of the video or fills it.
        """
        self.check_query(query)
        features = self.extractor.features_of(
            video, on_error=on_error, frame_template=frame_template, progress=progress
        )
        return self.predict(str(video), features, query)

    @torch.inference_mode()
    def predict(self, name: str, features: Features, query: EventQuery | None = None) -> EventPrediction:
        """The same from features that are there already."""
        self.check_query(query)
        if query is None:
            return self._localized(name, features)
        return self._matched(name, features, query)

    def check_query(self, query: EventQuery | None) -> None:
        """Raise ValueError unless there is a query exactly where the network takes one."""
        if self.card.task == "cml" and query is None:
            raise ValueError(
                f"{self.path} was trained to find in one modality what is given in the other (cml): give a query, "
                'EventQuery("audio", 2, 5) or --query audio --start 2 --end 5 (visual for what is seen)'
            )
        if self.card.task != "cml" and query is not None:
            raise ValueError(
                f"{self.path} was trained to label every second ({self.card.task}) and takes no query; leave it "
                "out, or use a checkpoint of task cml"
            )

    def _localized(self, name: str, features: Features) -> EventPrediction:
        num_seconds = len(features.heard)
        found = self.network.localize(self._batch(name, features, torch.zeros(num_seconds, dtype=torch.bool)))
        words = (*self.card.labels, BACKGROUND)
        scores = sorted(
            zip(self.card.labels, _numbers(found.event_scores), strict=True), key=lambda pair: -pair[1]
        )
        return EventPrediction(
            name,
            tuple(words[label] for label in found.labels[0].tolist()),
            features.duration_seconds,
            relevance=_numbers(found.relevance),
            heard=None if found.heard is None else _numbers(found.heard),
            seen=None if found.seen is None else _numbers(found.seen),
            scores=tuple(scores),
            has_sound=tuple(features.heard.tolist()),
            notes=features.notes,
        )

    def _matched(self, name: str, features: Features, query: EventQuery) -> EventPrediction:
        region = torch.tensor(query_region(query, len(features.heard), features.duration_seconds, name))
        heard = features.heard[region] if query.modality == "audio" else features.heard
        if not bool(heard.any()):
            where = "in the query" if query.modality == "audio" else "to search"
            raise ValueError(
                f"{name}: there is no sound {where}; use a video with sound, or another stretch of it"
            )
        batch = self._batch(name, features, region)
        scores = self.network.relevance(batch, query.modality)
        start, length = int(self.network.starts(batch, query.modality)), int(region.sum())
        # Log-odds of DAM; distances and correlations are no probabilities.
        is_probability = isinstance(self.network, CrossModalMatcher)
        values = _numbers(scores.float().sigmoid() if is_probability else scores)
        asked = {"audio": "heard", "visual": "seen"}[query.asked] if is_probability else "fit"
        labels = [MATCH if start <= second < start + length else BACKGROUND for second in range(len(region))]
        return EventPrediction(
            name,
            tuple(labels),
            features.duration_seconds,
            has_sound=tuple(features.heard.tolist()),
            query=query,
            notes=features.notes,
            **{asked: values},  # type: ignore[arg-type]
        )

    def _batch(self, name: str, features: Features, relevant: Tensor) -> Batch:
        event = 0 if bool(relevant.any()) else NO_EVENT
        return collate([Timeline(name, features.audio, features.visual, event, relevant)]).to(self.device)

    def _choose_extractor(self, own: Extractor | None, given: str | Path | None) -> Extractor:
        chosen = own if given is None else load_extractor(given)
        if chosen is None:
            raise ValueError(
                f"{self.path} does not hold the networks that its features came from, so it cannot be used on video "
                "files; name the extractor.safetensors that lies beside those features (extractor=, --extractor FILE)"
            )
        trained_with = self.card.training.get("extractor_sha256")
        if given is not None and trained_with and chosen.fingerprint() != trained_with:
            raise ValueError(
                f"{given} holds other networks than those that made the training features of {self.path}; give the "
                "extractor.safetensors that lies beside those"
            )
        makes, takes = chosen.audio.num_features, self.card.network["audio_features"]
        if makes != takes:
            raise ValueError(
                f"{given} makes {makes} numbers of sound a second, {self.path} was trained on {takes}; give the "
                "extractor that its training features came from"
            )
        return chosen

    def __repr__(self) -> str:
        return f"EventRecognizer({self.card.method}, {self.card.task}, {len(self.card.labels)} events, {self.device})"


def _numbers(values: Tensor) -> tuple[float, ...]:
    """The one row of a batch."""
    return tuple(values[0].cpu().double().tolist())
