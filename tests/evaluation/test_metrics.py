from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interlace.evaluation import metrics


def _random(num_clips: int = 53, num_classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    scores = torch.rand(num_clips, num_classes, generator=generator, dtype=torch.float64)
    return scores, torch.randint(
        num_classes - 1, (num_clips,), generator=generator
    )  # the last class has no clip


def test_topk_by_hand() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25], [0.2, 0.5, 0.3]])
    labels = torch.tensor([0, 1, 2, 1])
    assert metrics.topk_accuracy(scores, labels, 1) == 50.0
    assert metrics.topk_accuracy(scores, labels, 2) == 75.0
    assert metrics.topk_accuracy(scores, labels, 5) == 100.0


@pytest.mark.parametrize("k", [1, 2, 5])
def test_topk_against_numpy(k: int) -> None:
    scores, labels = _random()
    best = np.argsort(-scores.numpy(), axis=1)[:, :k]
    expected = 100 * np.mean([label in row for label, row in zip(labels.numpy(), best, strict=True)])
    assert metrics.topk_accuracy(scores, labels, k) == pytest.approx(expected, abs=1e-9)


def test_equal_scores_rank_in_the_order_of_the_classes() -> None:
    scores = torch.full((3, 4), 0.25)
    assert metrics.ranks(scores).tolist() == [[0, 1, 2, 3]] * 3
    labels = torch.tensor([0, 1, 3])
    assert metrics.topk_accuracy(scores, labels, 1) == pytest.approx(100 / 3)
    assert metrics.topk_accuracy(scores, labels, 2) == pytest.approx(200 / 3)
    assert metrics.confusion(scores, labels, 4)[:, 0].tolist() == [1, 1, 0, 1]


def test_confusion_and_class_accuracy_against_numpy() -> None:
    scores, labels = _random()
    expected = np.zeros((7, 7), dtype=np.int64)
    for label, row in zip(labels.numpy(), scores.numpy(), strict=True):
        expected[label, row.argmax()] += 1
    counts = metrics.confusion(scores, labels, 7)
    np.testing.assert_array_equal(counts.numpy(), expected)
    np.testing.assert_array_equal(metrics.confusion(scores.argmax(1), labels, 7).numpy(), expected)
    accuracy = 100 * expected.diagonal()[:6] / expected.sum(1)[:6]
    assert metrics.class_accuracy(counts)[:6].tolist() == pytest.approx(accuracy.tolist())
    assert math.isnan(metrics.class_accuracy(counts)[6])
    assert expected[:, 6].sum() > 0  # predicted without having clips: must not count as an accuracy of 0
    assert metrics.mean_class_accuracy(counts) == pytest.approx(accuracy.mean())


def _average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = targets[order]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float(100 * precision[hits].mean())


def test_mean_average_precision_against_numpy() -> None:
    generator = torch.Generator().manual_seed(5)
    scores = torch.rand(61, 5, generator=generator, dtype=torch.float64)
    targets = torch.rand(61, 5, generator=generator) > 0.7
    targets[:, 2] = False
    each = metrics.average_precisions(scores, targets)
    expected = [_average_precision(scores[:, k].numpy(), targets[:, k].numpy()) for k in (0, 1, 3, 4)]
    assert each[[0, 1, 3, 4]].tolist() == pytest.approx(expected, abs=1e-4)
    assert math.isnan(each[2])
    assert metrics.mean_average_precision(scores, targets) == pytest.approx(np.mean(expected), abs=1e-4)


def test_equal_scores_are_one_threshold_of_average_precision() -> None:
    scores = torch.tensor([[0.5], [0.5], [0.5], [0.5]])
    targets = torch.tensor([[True], [False], [False], [False]])
    assert metrics.mean_average_precision(scores, targets) == 25.0


def test_the_order_of_the_clips_changes_nothing() -> None:
    scores, labels = _random()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    assert metrics.topk_accuracy(scores, labels, 2) == metrics.topk_accuracy(scores[order], labels[order], 2)
    before, after = metrics.confusion(scores, labels, 7), metrics.confusion(scores[order], labels[order], 7)
    assert metrics.mean_class_accuracy(before) == metrics.mean_class_accuracy(after)
    targets = metrics.multi_hot([[label] for label in labels.tolist()], 7)
    assert metrics.mean_average_precision(scores, targets) == pytest.approx(
        metrics.mean_average_precision(scores[order], targets[order]), abs=1e-6
    )


def test_multi_hot() -> None:
    assert metrics.multi_hot([(2, 0), (1,), ()], 3).int().tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
