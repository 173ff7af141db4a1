from __future__ import annotations

import math

import torch

from interlace.audiovisual.models.guided_attention import GuidedAttention, MeanOfPlaces

B, N, P, A, D = 2, 5, 4, 7, 11


@torch.no_grad()
def test_it_is_the_equation_of_the_paper() -> None:
    layer = GuidedAttention(A, D, hidden=6, compared=3).double()
    visual, audio = torch.randn(B, N, P, D).double(), torch.randn(B, N, A).double()
    seen, heard = layer.transform_visual[0], layer.transform_audio[0]
    found = layer(visual, audio)
    for b in range(B):
        for n in range(N):
            guide = layer.compare_audio.weight @ (heard.weight @ audio[b, n] + heard.bias).clamp(min=0)
            raw = []
            for p in range(P):
                place = layer.compare_visual.weight @ (seen.weight @ visual[b, n, p] + seen.bias).clamp(min=0)
                raw.append(math.exp(float(layer.score.weight[0] @ (place + guide).tanh())))
            expected = sum(raw[p] / sum(raw) * visual[b, n, p] for p in range(P))
            torch.testing.assert_close(found[b, n], expected)


def test_the_weights_sum_to_one_and_depend_on_the_sound() -> None:
    layer = GuidedAttention(A, D)
    visual = torch.randn(B, N, P, D)
    weights = [layer.weights(visual, torch.randn(B, N, A)) for _ in range(2)]
    torch.testing.assert_close(weights[0].sum(2), torch.ones(B, N))
    assert (weights[0] - weights[1]).abs().max() > 1e-4


def test_a_single_place_is_what_is_seen() -> None:
    visual = torch.randn(B, N, 1, D)
    assert torch.equal(GuidedAttention(A, D)(visual, torch.randn(B, N, A)), visual[:, :, 0])


def test_the_plain_mean_does_not_hear() -> None:
    visual = torch.arange(6.0).view(1, 1, 3, 2)
    assert MeanOfPlaces()(visual, torch.randn(1, 1, A)).tolist() == [[[2.0, 3.0]]]
