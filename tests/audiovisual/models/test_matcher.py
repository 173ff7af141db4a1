from __future__ import annotations

import pytest
import torch

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.models.matcher import CrossModalMatcher

N, A, D, P = 5, 7, 11, 4
REGION = torch.tensor([0, 1, 1, 0, 0]).bool()
SIZES = {"audio_features": A, "visual_features": D, "num_events": 3, "width": 8}


def score(network: CrossModalMatcher, query: str, audio: torch.Tensor, visual: torch.Tensor) -> torch.Tensor:
    return network.relevance(collate([Timeline("x", audio, visual, 0, REGION)]), query)


def test_the_query_is_all_that_is_known_of_its_modality() -> None:
    network = CrossModalMatcher(**SIZES).eval()
    audio, visual = torch.randn(N, A), torch.randn(N, P, D)
    other_audio = torch.where(REGION[:, None], audio, torch.randn(N, A))
    other_visual = torch.where(REGION[:, None, None], visual, torch.randn(N, P, D))
    for query, changed in (("audio", (other_audio, visual)), ("visual", (audio, other_visual))):
        torch.testing.assert_close(score(network, query, *changed), score(network, query, audio, visual))


def test_guided_by_sound_the_picture_would_tell_where_the_sound_is() -> None:
    network = CrossModalMatcher(**SIZES, guided=True).eval()
    audio, visual = torch.randn(N, A), torch.randn(N, P, D)
    other_audio = torch.where(REGION[:, None], audio, torch.randn(N, A))
    assert not torch.allclose(
        score(network, "audio", other_audio, visual), score(network, "audio", audio, visual)
    )


def test_without_the_region_the_query_is_the_whole_video() -> None:
    network = CrossModalMatcher(**SIZES, region=False).eval()
    audio, visual = torch.randn(N, A), torch.randn(N, P, D)
    other = collate([Timeline("x", audio, visual, 0, torch.tensor([1, 0, 0, 0, 0]).bool())])
    assert torch.equal(network.relevance(other, "audio"), score(network, "audio", audio, visual))


@pytest.mark.parametrize("query", ["audio", "visual"])
def test_the_order_of_what_is_searched_is_the_order_of_the_answers(query: str) -> None:
    network = CrossModalMatcher(**SIZES).eval()
    audio, visual, order = torch.randn(N, A), torch.randn(N, P, D), torch.randperm(N)
    shuffled = (audio, visual[order]) if query == "audio" else (audio[order], visual)
    torch.testing.assert_close(
        score(network, query, *shuffled), score(network, query, audio, visual)[:, order]
    )
