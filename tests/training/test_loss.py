"""The losses are the textbook ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from interlace.training.loss import balanced_class_weights, classification_loss, soft_targets


def test_equals_cross_entropy_of_class_numbers():
    logits, label = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 1])
    loss = classification_loss(logits, soft_targets(label, 4), label_smoothing=0.1)
    torch.testing.assert_close(loss, F.cross_entropy(logits, label, label_smoothing=0.1))


def test_class_weights_multiply_and_the_mean_is_over_clips():
    logits, label, weights = torch.randn(2, 3), torch.tensor([0, 2]), torch.tensor([2.0, 1.0, 0.5])
    each = F.cross_entropy(logits, label, reduction="none")
    loss = classification_loss(logits, soft_targets(label, 3), class_weights=weights)
    torch.testing.assert_close(loss, (2 * each[0] + 0.5 * each[1]) / 2)


def test_multi_label_smoothing_moves_targets_towards_a_half():
    logits, target = torch.randn(2, 3), torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    loss = classification_loss(logits, soft_targets(target, 3), multi_label=True, label_smoothing=0.2)
    softer = torch.tensor([[0.9, 0.1, 0.9], [0.1, 0.1, 0.9]])
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits, softer))


def test_half_precision_logits_are_summed_in_single():
    logits = torch.randn(2, 3)
    loss = classification_loss(logits.bfloat16(), torch.eye(3)[:2])
    assert loss.dtype == torch.float32


def test_balanced_weights_average_to_one_over_the_clips():
    counts = [30, 10, 0, 5]
    weights = balanced_class_weights(counts)
    assert float((weights * torch.tensor(counts)).sum() / 45) == 1.0
    assert [round(float(w) * c, 4) for w, c in zip(weights, counts, strict=True)] == [15.0, 15.0, 0.0, 15.0]
