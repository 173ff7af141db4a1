from __future__ import annotations

import itertools

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Batch
from interlace.audiovisual.models.cml import is_asked
from interlace.audiovisual.tasks.event_metrics import (
    percentage,
    reason_left_out,
    relevance_accuracy,
    segment_accuracy,
    segment_confusion,
)


def test_accuracy_is_over_all_segments_and_not_the_mean_of_batches():
    true = torch.tensor([[0, 0, 3, 3, 3], [1, 1, 1, 3, 3]])
    predicted = torch.tensor([[0, 3, 3, 1, 3], [1, 1, 0, 3, 3]])
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    whole = segment_confusion(predicted, true, mask, 4)
    rows = [segment_confusion(predicted[i : i + 1], true[i : i + 1], mask[i : i + 1], 4) for i in range(2)]
    assert torch.equal(whole, rows[0] + rows[1])
    assert whole.tolist() == [[1, 0, 0, 1], [0, 2, 0, 0], [0, 0, 0, 0], [0, 1, 0, 2]]
    assert segment_accuracy(whole) == pytest.approx(100 * 5 / 7)
    assert sum(map(segment_accuracy, rows)) / 2 == pytest.approx(80.0)  # what a mean of batches would say


def test_relevance_does_not_mind_which_event():
    confusion = torch.tensor([[1, 2, 4], [8, 16, 32], [64, 128, 256]])
    assert relevance_accuracy(confusion) == pytest.approx(100 * (1 + 2 + 8 + 16 + 256) / 511)


@pytest.mark.parametrize(
    ("relevant", "reason"),
    [
        ([0, 0, 0], "background only"),
        ([1, 1, 1], "event fills the video"),
        ([1], "event fills the video"),
        ([1, 0, 1], "event in several pieces"),
        ([0, 1, 0, 1], "event in several pieces"),
        ([1, 1, 0, 1, 0], "event in several pieces"),
        ([1, 0, 0], ""),
        ([0, 0, 1], ""),
        ([0, 1, 1, 0], ""),
    ],
)
def test_why_a_video_is_not_asked(relevant, reason):
    assert reason_left_out(torch.tensor(relevant).bool()) == reason


def test_it_is_the_rule_by_which_videos_are_asked():
    rows = torch.tensor(list(itertools.product([0, 1], repeat=6))).bool()
    mask = torch.ones_like(rows)
    event = torch.where(rows.any(1), 0, NO_EVENT)
    asked = is_asked(Batch(torch.zeros(64, 6, 1), torch.zeros(64, 6, 1, 1), mask, event, rows))
    assert asked.tolist() == [not reason_left_out(row) for row in rows]
    assert int(asked.sum()) == 6 * 7 // 2 - 1  # runs of 6 segments, but for the one that is all


def test_a_label_that_is_no_class_is_not_counted_as_another():
    true, mask = torch.tensor([[0, 2]]), torch.tensor([[True, True]])
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match=r"predicted labels from .*; there are 3 classes, 0 to 2"):
            segment_confusion(torch.tensor([[1, wrong]]), true, mask, 3)
        filled = torch.tensor([[True, False]])
        assert segment_confusion(torch.tensor([[1, wrong]]), true, filled, 3).sum() == 1


def test_nothing_has_no_percentage():
    with pytest.raises(ValueError, match="percentage of nothing"):
        percentage(0, 0)
