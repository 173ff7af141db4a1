from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from interlace.audiovisual.models.relevance import log_mean_sigmoid, mean_relevance, relevance_loss

B, N = 2, 5
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
RELEVANT = torch.tensor([[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]]).bool()


def test_the_loss_is_that_of_the_mean_over_the_segments_there_are() -> None:
    heard, seen = torch.randn(B, N).double(), torch.randn(B, N).double()
    p = (heard.sigmoid() + seen.sigmoid()) / 2
    expected = functional.binary_cross_entropy(p[MASK], RELEVANT[MASK].double())
    torch.testing.assert_close(relevance_loss([heard, seen], RELEVANT, MASK), expected)


def test_the_loss_of_each_and_of_one() -> None:
    heard, seen = torch.randn(B, N).double(), torch.randn(B, N).double()

    def alone(z: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(z[MASK], RELEVANT[MASK].double())

    expected = (alone(heard) + alone(seen)) / 2
    torch.testing.assert_close(relevance_loss([heard, seen], RELEVANT, MASK, each=True), expected)
    torch.testing.assert_close(relevance_loss([seen], RELEVANT, MASK), alone(seen))


@pytest.mark.parametrize("size", [50.0, 1e4])
def test_it_stays_finite_where_the_sigmoid_is_rounded(size: float) -> None:
    wrong = torch.full((B, N), -size).where(RELEVANT, torch.tensor(size)).requires_grad_()
    loss = relevance_loss([wrong, wrong], RELEVANT, MASK)
    loss.backward()
    assert loss.item() == pytest.approx(size)
    assert wrong.grad is not None
    assert wrong.grad[MASK].abs().min() > 0.01


def test_padding_has_no_gradient() -> None:
    logits = torch.randn(B, N, requires_grad=True)
    relevance_loss([logits], RELEVANT, MASK).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad == 0, ~MASK)


def test_half_precision_is_widened() -> None:
    logits = torch.randn(B, N).bfloat16()
    assert relevance_loss([logits], RELEVANT, MASK).dtype == torch.float32
    assert mean_relevance([logits, logits]).dtype == torch.float32


def test_the_log_of_the_mean() -> None:
    found = log_mean_sigmoid([torch.tensor([[0.0]]), torch.tensor([[math.log(3)]])])  # 1/2 and 3/4
    assert found.item() == pytest.approx(math.log(5 / 8))
