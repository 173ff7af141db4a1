from __future__ import annotations

import math

import torch

from interlace.audiovisual.models.dam import DualAttentionMatching

B, N, A, D, P, W = 2, 5, 7, 11, 4, 6
REGION = torch.tensor([[0, 1, 1, 1, 0], [1, 1, 0, 0, 0]]).bool()
ALL = torch.ones(B, N, dtype=torch.bool)


def plain(**arguments: bool) -> DualAttentionMatching:
    """As on the slides: no normalization, no scale, no bias."""
    network = DualAttentionMatching(
        A, D, width=W, dropout=0.0, normalize=False, scale=1.0, bias=False, guided=False, **arguments
    )
    return network.double()


def literal_global(segments: torch.Tensor, region: torch.Tensor, layer: torch.nn.Module) -> torch.Tensor:
    """mean(self-att(F_E)) of one video, term by term."""
    members = [segments[n] for n in range(N) if region[n]]
    outputs = []
    for asking in members:
        raw = [
            math.exp(float((layer.query.weight @ asking) @ (layer.key.weight @ other)) / math.sqrt(W))
            for other in members
        ]
        outputs.append(
            sum(r / sum(raw) * (layer.value.weight @ m) for r, m in zip(raw, members, strict=True))
        )
    return torch.stack(outputs).mean(0)


@torch.no_grad()
def test_it_is_equations_3_to_5_term_by_term() -> None:
    network = plain()
    audio, visual = torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double()
    found = network(audio, visual, REGION, ALL)
    f_audio, f_visual = network.encode_audio(audio), network.encode_visual(visual.mean(2))
    for b in range(B):
        phi_audio = literal_global(f_audio[b], REGION[b], network.attend_audio)
        phi_visual = literal_global(f_visual[b], REGION[b], network.attend_visual)
        torch.testing.assert_close(found.global_audio[b], phi_audio)
        torch.testing.assert_close(found.global_visual[b], phi_visual)
        for n in range(N):
            torch.testing.assert_close(
                found.heard[b, n], phi_visual @ f_audio[b, n]
            )  # p_t^A = sigma(phi^V . f_t^A)
            torch.testing.assert_close(
                found.seen[b, n], phi_audio @ f_visual[b, n]
            )  # p_t^V = sigma(phi^A . f_t^V)


def test_without_self_attention_it_is_the_mean_of_the_region() -> None:
    network = plain(self_attention=False)
    audio, visual = torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double()
    expected = torch.stack(
        [row[where].mean(0) for row, where in zip(network.encode_audio(audio), REGION, strict=True)]
    )
    torch.testing.assert_close(network(audio, visual, REGION, ALL).global_audio, expected)


def test_without_crossing_a_modality_is_checked_against_itself() -> None:
    network = plain(cross=False)
    audio, visual = torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double()
    found, other = (
        network(audio, visual, REGION, ALL),
        network(audio, torch.randn(B, N, P, D).double(), REGION, ALL),
    )
    torch.testing.assert_close(found.heard[0, 2], found.global_audio[0] @ network.encode_audio(audio)[0, 2])
    assert torch.equal(found.heard, other.heard)
    assert not torch.equal(found.seen, other.seen)


def test_the_scale_and_the_bias() -> None:
    network = plain()
    audio, visual = torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double()
    exact = network(audio, visual, REGION, ALL).heard
    network.scale, network.heard_bias = 0.5, torch.nn.Parameter(torch.tensor(3.0).double())
    torch.testing.assert_close(network(audio, visual, REGION, ALL).heard, exact / 2 + 3)
    assert DualAttentionMatching(A, D, width=16).scale == 0.25


def test_an_empty_region_matches_nothing() -> None:
    found = plain()(
        torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double(), torch.zeros_like(REGION), ALL
    )
    assert torch.equal(found.global_audio, torch.zeros(B, W).double())
    assert torch.equal(found.heard, torch.zeros(B, N).double())


def test_the_shapes_of_ave() -> None:
    everywhere = torch.ones(2, 10, dtype=torch.bool)
    found = DualAttentionMatching(128, 512)(
        torch.rand(2, 10, 128), torch.rand(2, 10, 49, 512), everywhere, everywhere
    )
    assert (found.heard.shape, found.seen.shape, found.global_visual.shape) == ((2, 10), (2, 10), (2, 256))


def test_the_logits_that_count() -> None:
    found = plain()(torch.randn(B, N, A).double(), torch.randn(B, N, P, D).double(), REGION, ALL)
    assert found.logits("heard") == [found.heard]
    assert found.logits("seen") == [found.seen]
    assert [id(z) for z in found.logits()] == [id(found.heard), id(found.seen)]
