from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from interlace.audiovisual import Batch, Timeline, collate
from interlace.audiovisual.models.localizer import EventLocalizer, focused_loss

N, A, D, P, K = 5, 7, 11, 4, 3


def network(**arguments: Any) -> EventLocalizer:
    return EventLocalizer(
        audio_features=A, visual_features=D, num_events=K, width=8, hidden=6, **arguments
    ).eval()


def batch() -> Batch:
    """Two videos with an event, one of them shorter, and one of background."""

    def video(event: int, *relevant: int) -> Timeline:
        n = len(relevant)
        return Timeline("x", torch.randn(n, A), torch.randn(n, P, D), event, torch.tensor(relevant).bool())

    return collate([video(2, 0, 1, 1, 0, 0), video(-1, 0, 0, 0, 0, 0), video(0, 1, 1, 1)])


def test_the_loss_is_a_mix_of_category_and_relevance() -> None:
    model, videos = network().double(), batch()
    videos = Batch(videos.audio.double(), videos.visual.double(), videos.mask, videos.event, videos.relevant)
    matching, logits = model(videos)
    p = ((matching.heard.sigmoid() + matching.seen.sigmoid()) / 2)[videos.mask]
    relevance = functional.binary_cross_entropy(p, videos.relevant[videos.mask].double())
    category = functional.cross_entropy(logits[[0, 2]], videos.event[[0, 2]])
    for weight in (0.0, 0.25, 0.5, 1.0):
        model.category_weight = weight
        torch.testing.assert_close(model.loss(videos), weight * category + (1 - weight) * relevance)


def test_segments_below_a_half_are_background_the_others_take_the_category() -> None:
    model, videos = network(), batch()
    found = model.localize(videos)
    expected = torch.where(found.relevance < 0.5, K, found.event_scores.argmax(1, keepdim=True))
    assert torch.equal(found.labels, expected)
    assert {True, False} == set((found.labels[videos.mask] == K).tolist())
    torch.testing.assert_close(found.relevance[videos.mask], (found.heard + found.seen)[videos.mask] / 2)
    torch.testing.assert_close(found.event_scores.sum(1), torch.ones(3))


@pytest.mark.parametrize("direction", ["heard", "seen"])
def test_one_direction_alone(direction: Any) -> None:
    model, videos = network(direction=direction), batch()
    found = model.localize(videos)
    assert torch.equal(found.relevance, getattr(found, direction))
    model.loss(videos).backward()
    other = {"heard": "seen_bias", "seen": "heard_bias"}[direction]
    assert getattr(model.matching, other).grad is None


def test_both_global_features_attend_over_all_segments() -> None:
    model, videos = network(), batch()
    nothing = Batch(videos.audio, videos.visual, videos.mask, videos.event, torch.zeros_like(videos.relevant))
    assert torch.equal(model.localize(videos).relevance, model.localize(nothing).relevance)


def test_with_focus_the_category_is_told_from_what_is_relevant() -> None:
    model, videos = network(focus=True), batch()
    matching, logits = model(videos)
    expected = []
    for b, n in enumerate(videos.mask.sum(1).tolist()):
        p = ((matching.heard.sigmoid() + matching.seen.sigmoid()) / 2)[b, :n, None]
        segments = torch.cat([matching.segment_audio, matching.segment_visual], 2)[b, :n]
        expected.append((p * model.classify(segments)).sum(0) / p.sum())
    torch.testing.assert_close(logits, torch.stack(expected))
    model.matching.heard_bias.data.fill_(-1e4)
    model.matching.seen_bias.data.fill_(-1e4)
    assert model(videos)[1].isfinite().all()  # nothing is relevant


def test_the_focused_loss_is_that_of_the_event_and_of_each_of_its_segments() -> None:
    logits, relevant = torch.randn(2, 4, K).double(), torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0]]).bool()
    audio, visual = torch.randn(2, 4, A), torch.randn(2, 4, P, D)
    videos = Batch(audio, visual, torch.ones(2, 4).bool(), torch.tensor([2, -1]), relevant)
    of_event = -logits[0, 1:3].mean(0).log_softmax(0)[2]
    of_segments = -logits[0, 1:3].log_softmax(1)[:, 2].mean()
    torch.testing.assert_close(focused_loss(logits, videos), (of_event + of_segments) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context": "all"}, "context='all': it is one of none, own, joint"),
        ({"category_weight": 1.5}, "category_weight=1.5"),
        ({"direction": "up"}, "direction='up': it is one of both, heard, seen"),
        ({"width": 0}, "width=0"),
        ({"dropout": 1.5}, "dropout"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventLocalizer(audio_features=A, visual_features=D, num_events=K, **arguments)
