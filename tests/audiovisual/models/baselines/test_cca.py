from __future__ import annotations

import pytest
import torch

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.models.baselines import CorrelationMatcher

R, A, D = 400, 4, 6


def timeline(audio: torch.Tensor, visual: torch.Tensor) -> Timeline:
    return Timeline("x", audio, visual[:, None], 0, torch.ones(len(audio)).bool())


def correlated() -> tuple[torch.Tensor, torch.Tensor]:
    """Two hidden numbers in both, mixed, one of them under noise."""
    hidden = torch.randn(R, 2)
    audio = torch.cat([hidden, torch.randn(R, A - 2)], 1) @ torch.randn(A, A) + 5
    visual = torch.cat([hidden + torch.randn(R, 2) * torch.tensor([0.0, 1.0]), torch.randn(R, D - 2)], 1)
    return audio, visual @ torch.randn(D, D) - 3


def test_the_maps_whiten_and_correlate() -> None:
    audio, visual = correlated()
    network = CorrelationMatcher(
        audio_features=A, visual_features=D, num_events=1, width=9, ridge=0.0
    ).double()
    network.fit([timeline(audio[:150], visual[:150]), timeline(audio[150:], visual[150:])])
    assert network.correlations.shape == (A,)  # no more pairs than the smaller has numbers
    a = (audio.double() - network.audio_mean) @ network.audio_map
    v = (visual.double() - network.visual_mean) @ network.visual_map
    identity = torch.eye(A).double()
    torch.testing.assert_close(a.T @ a / R, identity, atol=1e-4, rtol=0)
    torch.testing.assert_close(v.T @ v / R, identity, atol=1e-4, rtol=0)
    torch.testing.assert_close(a.T @ v / R, torch.diag(network.correlations), atol=1e-4, rtol=0)
    assert network.correlations[0] == pytest.approx(1.0, abs=1e-4)
    assert network.correlations[1] == pytest.approx(2**-0.5, abs=0.1)
    assert network.correlations[2] < 0.3


def test_a_ridge_shrinks_what_agrees_by_accident() -> None:
    few = timeline(torch.randn(5, A), torch.randn(5, D))
    networks = [
        CorrelationMatcher(audio_features=A, visual_features=D, num_events=1, ridge=ridge)
        for ridge in (0.0, 1.0)
    ]
    for network in networks:
        network.fit([few])
    assert networks[0].correlations[3] == pytest.approx(1.0, abs=1e-4)
    assert networks[1].correlations[0] < 0.9


def test_background_has_no_part_in_the_fit() -> None:
    audio, visual = correlated()
    where = torch.arange(R) < 200
    networks = [CorrelationMatcher(audio_features=A, visual_features=D, num_events=1) for _ in range(2)]
    networks[0].fit([Timeline("x", audio, visual[:, None], 0, where)])
    networks[1].fit([timeline(audio[where], visual[where])])
    assert torch.equal(networks[0].audio_map, networks[1].audio_map)


def test_it_finds_what_is_the_same_up_to_linear_maps() -> None:
    hidden = torch.randn(R, 3)
    audio, visual = hidden @ torch.randn(3, A), hidden @ torch.randn(3, D)
    network = CorrelationMatcher(audio_features=A, visual_features=D, num_events=1, width=3, ridge=1e-6)
    network.fit([timeline(audio, visual)])
    where = torch.tensor([0, 0, 1, 1, 1, 0, 0]).bool()
    seen = torch.where(where[:, None], visual[:7], visual[20:27])
    videos = collate([Timeline("x", audio[:7], seen[:, None], 0, where)])
    assert [network.starts(videos, query).tolist() for query in ("audio", "visual")] == [[2], [2]]


def test_too_few_seconds_are_an_error() -> None:
    network = CorrelationMatcher(audio_features=A, visual_features=D, num_events=1)
    with pytest.raises(ValueError, match="1 seconds with an event"):
        network.fit([timeline(torch.randn(1, A), torch.randn(1, D))])
    with pytest.raises(ValueError, match="0 seconds with an event"):
        network.fit([])
    with pytest.raises(ValueError, match="ridge=-1"):
        CorrelationMatcher(audio_features=A, visual_features=D, num_events=1, ridge=-1.0)
