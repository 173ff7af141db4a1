from __future__ import annotations

import pytest
import torch
from torch import nn

from interlace.audiovisual import Batch, Timeline, collate
from interlace.audiovisual.models.baselines import DistanceMatcher

N, P = 5, 2
REGION = torch.tensor([0, 1, 1, 0, 0]).bool()


def literal(crossed: bool) -> tuple[DistanceMatcher, Batch]:
    """A network that takes the features as they are."""
    network = DistanceMatcher(audio_features=3, visual_features=3, num_events=1, crossed=crossed)
    network.embed_audio, network.embed_visual = nn.Identity(), nn.Identity()
    return network, collate([Timeline("x", torch.randn(N, 3), torch.randn(N, P, 3), 0, REGION)])


@pytest.mark.parametrize("crossed", [False, True])
def test_the_loss_is_contrastive(crossed: bool) -> None:
    network, videos = literal(crossed)
    audio, visual = videos.audio[0], videos.visual[0].mean(1)
    losses = []
    for n in range(N):
        for m in range(N):
            distance = (audio[n] - visual[m]).norm()
            if n == m and REGION[n]:
                losses.append(distance**2)
            elif (REGION[n] != REGION[m]) if crossed else (n == m):
                losses.append((2 - distance).clamp(min=0) ** 2)
    torch.testing.assert_close(network.loss(videos), torch.stack(losses).mean())


def test_windows_are_near_first_to_first() -> None:
    network, videos = literal(False)
    audio, visual = videos.audio[0], videos.visual[0].mean(1)
    expected = torch.stack([-(audio[1:3] - visual[s : s + 2]).norm(dim=1).sum() for s in range(N - 1)])
    torch.testing.assert_close(network.window_scores(videos, "audio")[0, : N - 1], expected)
    expected = torch.stack([-(visual[1:3] - audio[s : s + 2]).norm(dim=1).sum() for s in range(N - 1)])
    torch.testing.assert_close(network.window_scores(videos, "visual")[0, : N - 1], expected)


def test_not_aligned_every_pair_counts() -> None:
    network, videos = literal(False)
    network.aligned = False
    audio, visual = videos.audio[0], videos.visual[0].mean(1)
    near = -torch.cdist(audio[1:3], visual).mean(0)
    torch.testing.assert_close(network.relevance(videos, "audio")[0], near)
    sums = network.window_scores(videos, "audio")[0]
    torch.testing.assert_close(sums[:4].float(), near[:4] + near[1:])


def test_equal_features_have_a_gradient() -> None:
    network = DistanceMatcher(audio_features=3, visual_features=3, num_events=1)
    network.embed_visual.load_state_dict(network.embed_audio.state_dict())
    audio = torch.randn(N, 3)
    network.loss(collate([Timeline("x", audio, audio[:, None], 0, REGION)])).backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
