"""What a network makes of a video before it decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard
from interlace.inference import Recognizer
from interlace.inference.batch import Failure
from interlace.inference.features import FeatureExtractor, features_of


def recognizer_of(name: str, num_segments: int = 4) -> Recognizer:
    model = interlace.create_model(name, num_classes=3, num_segments=num_segments)
    parts = [{"name": "segment", "num_segments": length} for length in model.segments]
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("a", "b", "c"),
        sampling=parts[0] if len(parts) == 1 else {"name": "joined", "parts": parts},
        preprocessing={"image_size": 32, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
    )
    return Recognizer(model, card, device="cpu")


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    return recognizer_of("tsm_resnet10t")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "v.mp4", num_frames=11, size=(32, 48))


def test_features_are_what_the_classifier_sees(recognizer: Recognizer, video: Path) -> None:
    features = FeatureExtractor(recognizer)(video)
    frames = FeatureExtractor(recognizer, what="frames")(video)
    logits = FeatureExtractor(recognizer, what="logits")(video)
    probabilities = FeatureExtractor(recognizer, what="probabilities")(video)
    assert (features.values.shape, frames.values.shape, logits.values.shape) == ((512,), (4, 512), (3,))
    np.testing.assert_allclose(frames.values.mean(0), features.values, rtol=1e-5, atol=1e-6)
    head = recognizer.model.head
    with torch.inference_mode():
        np.testing.assert_allclose(
            head(torch.tensor(features.values)).numpy(), logits.values, rtol=1e-4, atol=1e-6
        )
    top = dict(recognizer(video).top)
    np.testing.assert_allclose(probabilities.values, [top[label] for label in ("a", "b", "c")], rtol=1e-6)


def test_clips_are_averaged_and_their_frames_follow_each_other(recognizer: Recognizer, video: Path) -> None:
    one = FeatureExtractor(recognizer, what="frames", num_clips=1)
    two = FeatureExtractor(recognizer, what="frames", num_clips=2)
    assert (one.shape, two.shape) == ((4, 512), (8, 512))
    values = two(video).values
    pooled = FeatureExtractor(recognizer, num_clips=2)(video).values
    np.testing.assert_allclose(pooled, values.mean(0), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(values[:4], values[4:])


def test_short_videos_have_a_note_and_broken_ones_a_reason(
    recognizer: Recognizer, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    extractor = FeatureExtractor(recognizer)
    short = features_of(extractor, make_video(tmp_path / "s.mp4", num_frames=2, size=(32, 48)))
    assert not isinstance(short, Failure)
    assert short.notes == ("2 frames for 4 segments: frames are repeated",)
    (tmp_path / "e.mp4").touch()
    assert features_of(extractor, tmp_path / "e.mp4") == Failure(
        str(tmp_path / "e.mp4"), "the file is empty (0 bytes); get it again"
    )
    absent = features_of(extractor, tmp_path / "absent.mp4")
    assert isinstance(absent, Failure)
    assert absent.reason.startswith("no such file")


def test_what_has_no_features_of_its_own(recognizer: Recognizer) -> None:
    ensemble = recognizer_of("tin_en_resnet10t", 6)
    with pytest.raises(ValueError, match="ensemble of networks"):
        FeatureExtractor(ensemble)
    assert FeatureExtractor(ensemble, what="logits").shape == (3,)
    with pytest.raises(ValueError, match="num_clips=0"):
        FeatureExtractor(recognizer, num_clips=0)


def test_numbers_that_are_not_finite(recognizer: Recognizer) -> None:
    broken = recognizer_of("tsn_resnet10t")
    with torch.no_grad():
        next(broken.model.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        FeatureExtractor(broken)
