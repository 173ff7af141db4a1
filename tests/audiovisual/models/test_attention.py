from __future__ import annotations

import math

import torch

from interlace.audiovisual.models.attention import SelfAttention, attention, masked_mean

B, Q, N, D, V = 2, 3, 5, 7, 4


def literal(query, key, value, mask):
    """softmax(q k^T / sqrt(d)) v, number by number."""
    out = torch.zeros(B, Q, V, dtype=torch.float64)
    for b in range(B):
        for q in range(Q):
            raw = {n: math.exp(float(query[b, q] @ key[b, n]) / math.sqrt(D)) for n in range(N) if mask[b, n]}
            for n, weight in raw.items():
                out[b, q] += weight / sum(raw.values()) * value[b, n]
    return out


def test_attention_is_the_equation() -> None:
    query, key, value = (torch.randn(B, n, d).double() for n, d in ((Q, D), (N, D), (N, V)))
    everything = torch.ones(B, N, dtype=torch.bool)
    some = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 1, 0]]).bool()
    torch.testing.assert_close(attention(query, key, value), literal(query, key, value, everything))
    torch.testing.assert_close(attention(query, key, value, some), literal(query, key, value, some))


def test_self_attention_has_a_map_for_each_part_and_no_bias() -> None:
    layer, x = SelfAttention(D).double(), torch.randn(B, N, D).double()
    expected = attention(x @ layer.query.weight.T, x @ layer.key.weight.T, x @ layer.value.weight.T)
    torch.testing.assert_close(layer(x), expected)
    assert [name for name, _ in layer.named_parameters()] == ["query.weight", "key.weight", "value.weight"]


def test_a_video_without_a_key_gets_zeros_and_finite_gradients() -> None:
    layer, x = SelfAttention(D), torch.randn(B, N, D, requires_grad=True)
    mask = torch.tensor([[False] * N, [True] * N])
    out = layer(x, mask)
    out.square().sum().backward()
    assert torch.equal(out[0], torch.zeros(N, D))
    assert out[1].abs().min() > 0
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert torch.equal(x.grad[0], torch.zeros(N, D))


def test_what_is_masked_has_no_say_however_large() -> None:
    layer, x = SelfAttention(D).double(), torch.randn(B, N, D).double()
    mask = torch.tensor([[True, True, False, True, False]] * B)
    other = torch.where(mask[..., None], x, 1e3)
    assert torch.equal(layer(other, mask)[mask], layer(x, mask)[mask])


def test_masked_mean() -> None:
    x = torch.arange(6.0).view(2, 3, 1)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert masked_mean(x, mask).tolist() == [[1.0], [0.0]]
