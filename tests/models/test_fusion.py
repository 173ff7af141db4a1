from __future__ import annotations

import inspect

import pytest
import torch

from interlace.models.fusion import checked_weights, fuse

B, K, N = 2, 5, 3
WEIGHTS = [1.0, 1.5, 0.25]


def logits(scale: float = 3.0) -> list[torch.Tensor]:
    return [scale * torch.randn(B, K, dtype=torch.float64) for _ in range(N)]


def test_the_softmax_is_the_weighted_mean_of_the_probabilities():
    members = logits()
    wanted = sum(w * one.softmax(1) for w, one in zip(WEIGHTS, members, strict=True)) / sum(WEIGHTS)
    torch.testing.assert_close(fuse(members, WEIGHTS).softmax(1), wanted)


def test_the_sigmoid_is_the_weighted_mean_for_several_labels():
    members = logits()
    wanted = sum(w * one.sigmoid() for w, one in zip(WEIGHTS, members, strict=True)) / sum(WEIGHTS)
    torch.testing.assert_close(fuse(members, WEIGHTS, multi_label=True).sigmoid(), wanted)


@pytest.mark.parametrize("multi_label", [False, True])
def test_logits_are_averaged_as_they_are(multi_label):
    members = logits()
    wanted = sum(w * one for w, one in zip(WEIGHTS, members, strict=True)) / sum(WEIGHTS)
    fused = fuse(members, WEIGHTS, average="logits", multi_label=multi_label)
    torch.testing.assert_close(fused, wanted)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_member_of_weight_zero_says_nothing(multi_label):
    first, second = logits()[:2]
    second.requires_grad_(True)
    fused = fuse([first, second], [2, 0], multi_label=multi_label)
    wanted = first if multi_label else first.log_softmax(1)
    torch.testing.assert_close(fused.detach(), wanted)
    fused.square().sum().backward()
    assert second.grad.abs().max() == 0


@pytest.mark.parametrize("multi_label", [False, True])
def test_large_logits_neither_overflow_nor_vanish(multi_label):
    one = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    fused = fuse([one, one], [1, 3], multi_label=multi_label)
    wanted = one if multi_label else one.log_softmax(1)
    torch.testing.assert_close(fused, wanted)
    fused.sum().backward()
    assert one.grad.isfinite().all()


@pytest.mark.parametrize("average", ["probabilities", "logits"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_gradients(average, multi_label):
    members = [one.requires_grad_(True) for one in logits()]
    function = inspect.unwrap(fuse)
    assert torch.autograd.gradcheck(
        lambda *inputs: function(inputs, WEIGHTS, average=average, multi_label=multi_label), members
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_it_computes_in_float32_at_least(dtype):
    members = [one.to(dtype) for one in logits()]
    fused = fuse(members, WEIGHTS)
    assert fused.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(fused, fuse([one.to(fused.dtype) for one in members], WEIGHTS))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "1 weights for 2 streams"),
        ([1, -1], "must not be negative"),
        ([0, 0], "not all zero"),
        ([float("nan"), 1], "must not be negative"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        checked_weights(weights, 2, "streams")
