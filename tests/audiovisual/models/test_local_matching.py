from __future__ import annotations

import torch

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.models.local_matching import LocalMatching, partners_loss
from interlace.audiovisual.models.matcher import CrossModalMatcher


def test_every_sound_is_compared_with_every_picture() -> None:
    match, audio, visual = (
        LocalMatching(6).double(),
        torch.randn(2, 5, 6).double(),
        torch.randn(2, 5, 6).double(),
    )
    found = match(audio, visual)
    for b, n, m in ((0, 1, 4), (1, 3, 0)):
        expected = match.map_audio(audio[b, n]) @ match.map_visual(visual[b, m]) / 6**0.5 + match.bias
        torch.testing.assert_close(found[b, n, m], expected)


def test_the_loss_is_that_of_partners_and_of_pairs_with_background() -> None:
    log_odds, mask = torch.randn(1, 4, 4).double(), torch.tensor([[True, True, True, False]])
    relevant = torch.tensor([[False, True, True, False]])
    together = [(1, 1), (2, 2)]
    apart = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]
    positive = sum(-log_odds[0, n, m].sigmoid().log() for n, m in together) / 2
    negative = sum(-(1 - log_odds[0, n, m].sigmoid()).log() for n, m in apart) / 5
    torch.testing.assert_close(partners_loss(log_odds, relevant, mask), (positive + negative) / 2)


def planted(shift: int) -> Timeline:
    """Five seconds of event among ten; sound and picture of one second share a direction no other second has."""
    rows = torch.eye(10)[torch.arange(10)]
    region = (torch.arange(10) >= 3) & (torch.arange(10) < 8)
    return Timeline("x", rows, rows.roll(shift, 0)[:, None], 0, region)


def test_partners_find_what_the_mean_of_the_query_cannot() -> None:
    """With the plain relevance silenced, each picture finds its own sound, wherever the event lies in the other row."""
    network = CrossModalMatcher(
        audio_features=10, visual_features=10, num_events=1, width=10, local=True
    ).eval()
    network.matching.encode_audio = torch.nn.Identity()  # type: ignore[assignment]
    network.matching.encode_visual = torch.nn.Identity()  # type: ignore[assignment]
    network.matching.scale = 0.0
    assert network.partners is not None
    for linear in (network.partners.map_audio, network.partners.map_visual):
        linear.weight.data.copy_(torch.eye(10))
        linear.bias.data.zero_()
    for shift in (-2, 0, 2):
        batch = collate([planted(shift)])
        assert network.starts(batch, "audio").tolist() == [3 + shift]
        assert network.starts(batch, "visual").tolist() == [3 - shift]
