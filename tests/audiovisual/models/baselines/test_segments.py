from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from interlace.audiovisual import Batch, Timeline, collate
from interlace.audiovisual.models.baselines import SegmentClassifier
from interlace.audiovisual.models.methods import SEL_METHODS

N, A, D, P, K = 5, 7, 11, 4, 3
SIZES = {"audio_features": A, "visual_features": D, "num_events": K}


def batch() -> Batch:
    where = torch.tensor([0, 1, 1, 0, 0]).bool()
    return collate([Timeline("x", torch.randn(N, A), torch.randn(N, P, D), 2, where)])


def without(modality: str, of: Batch) -> Batch:
    values = dict(vars(of))
    values[modality] = torch.randn_like(values[modality])
    return Batch(**values)


@pytest.mark.parametrize(
    ("name", "uses"), [("audio", {"audio"}), ("visual", {"visual"}), ("concat", {"audio", "visual"})]
)
def test_a_method_uses_what_its_name_says(name: str, uses: set[str]) -> None:
    network, videos = SEL_METHODS[name].network(**SIZES).eval(), batch()
    for modality in ("audio", "visual"):
        is_used = not torch.equal(network(without(modality, videos)), network(videos))
        assert is_used == (modality in uses)


def test_avel_looks_where_the_sound_tells_it() -> None:
    network, videos = SEL_METHODS["avel"].network(**SIZES).eval(), batch()
    weights = network.look.weights(videos.visual, videos.audio)
    expected = network.look(videos.visual, videos.audio)
    torch.testing.assert_close((weights[..., None] * videos.visual).sum(2), expected)
    assert weights.std() > 0


def test_the_loss_is_that_of_k_and_background() -> None:
    network, videos = SegmentClassifier(**SIZES).eval(), batch()
    expected = functional.cross_entropy(network(videos)[0], torch.tensor([K, 2, 2, K, K]))
    torch.testing.assert_close(network.loss(videos), expected)


def test_what_it_says_is_its_probabilities() -> None:
    network, videos = SegmentClassifier(**SIZES).eval(), batch()
    probabilities = network(videos).softmax(2)
    found = network.localize(videos)
    assert torch.equal(found.labels, probabilities.argmax(2))
    torch.testing.assert_close(found.relevance, probabilities[..., :K].sum(2))
    events = probabilities[..., :K].sum(1)
    torch.testing.assert_close(found.event_scores, events / events.sum())
    assert found.heard is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modalities": ()}, "give audio, visual, or both"),
        ({"modalities": ("touch",)}, "modalities=\\('touch',\\)"),
        ({"modalities": ("audio", "audio")}, "each once"),
        ({"modalities": ("visual",), "guided": True}, "sound guides the eye"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentClassifier(**SIZES, **arguments)
