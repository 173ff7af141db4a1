from __future__ import annotations

import pytest
import torch

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


def test_nothing_has_no_percentage():
    with pytest.raises(ValueError, match="percentage of nothing"):
        percentage(0, 0)
