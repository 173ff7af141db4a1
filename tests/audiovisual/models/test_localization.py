from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.models.localization import category_loss, check_features, segment_loss


def test_the_category_is_learned_from_videos_that_have_one() -> None:
    logits, event = torch.randn(4, 3), torch.tensor([2, -1, 0, -1])
    expected = functional.cross_entropy(logits[[0, 2]], event[[0, 2]])
    torch.testing.assert_close(category_loss(logits, event), expected)


def test_a_batch_of_background_has_no_category_and_a_gradient_of_zero() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = category_loss(logits, torch.tensor([-1, -1]))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(2, 3))


def test_segments_weigh_the_same_wherever_they_are() -> None:
    logits, labels = torch.randn(2, 5, 4), torch.randint(0, 4, (2, 5))
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    torch.testing.assert_close(
        segment_loss(logits, labels, mask), functional.cross_entropy(logits[mask], labels[mask])
    )


def test_other_features_are_an_error() -> None:
    batch = collate([Timeline("x", torch.zeros(4, 3), torch.zeros(4, 1, 5), -1, torch.zeros(4).bool())])
    with pytest.raises(ValueError, match="have 3 numbers of sound and 5 of picture a segment"):
        check_features(batch, 3, 6)
    check_features(batch, 3, 5)
