from __future__ import annotations

from fractions import Fraction

import torch

from interlace.audiovisual import NO_EVENT, Timeline, collate
from interlace.audiovisual.models.baselines import ChanceLocalizer, ChanceMatcher


def video(event: int, *relevant: int) -> Timeline:
    n = len(relevant)
    return Timeline("x", torch.randn(n, 3), torch.randn(n, 1, 5), event, torch.tensor(relevant).bool())


SIZES = {"audio_features": 3, "visual_features": 5, "num_events": 2}


def test_the_most_frequent_label_is_said_everywhere() -> None:
    network = ChanceLocalizer(**SIZES)
    network.fit([video(0, 1, 1, 0), video(1, 1, 1, 1), video(NO_EVENT, 0)])
    assert network.counts.tolist() == [2, 3, 2]
    found = network.localize(collate([video(0, 1, 0), video(0, 1, 1, 0)]))
    assert found.labels.tolist() == [[1, 1, 2], [1, 1, 1]]  # the last of the first is padding: background
    torch.testing.assert_close(found.event_scores, torch.tensor([[0.4, 0.6]] * 2))
    torch.testing.assert_close(found.relevance[1], torch.full((3,), 5 / 7))


def test_background_counts_as_a_label() -> None:
    network = ChanceLocalizer(**SIZES)
    network.fit([video(0, 1, 0, 0, 0)])
    assert network.localize(collate([video(1, 1, 1)])).labels.tolist() == [[2, 2]]


def test_the_expected_hits_of_a_drawn_start_are_exact() -> None:
    videos = [video(0, 0, 1, 1, 0), video(1, 1, 0), video(0, 0, 0, 1, 0, 0)]
    found = ChanceMatcher(**SIZES).hits(collate(videos), torch.zeros(len(videos)).long())
    expected = [Fraction(1, 3), Fraction(1, 2), Fraction(1, 5)]
    torch.testing.assert_close(found, torch.tensor([float(share) for share in expected]).double())
