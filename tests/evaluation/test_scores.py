from __future__ import annotations

from pathlib import Path

import pytest
import torch

from interlace.data.annotations import Sample
from interlace.evaluation.scores import Scores, combine


def _samples(*labels: tuple[int, ...]) -> tuple[Sample, ...]:
    return tuple(Sample(Path(f"{i}.mp4"), label) for i, label in enumerate(labels))


def test_single_label() -> None:
    table = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])
    scores = Scores(_samples((0,), (1,), (1,), (0,)), ("a", "b", "c"), table)
    assert scores.predicted.tolist() == [0, 0, 1, 1]
    assert scores.correct.tolist() == [True, False, True, False]
    assert scores.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.measure() == {"top1": 50.0, "top5": 100.0, "mean_class_accuracy": 50.0}
    assert scores.notes() == [
        "There are 3 classes, so top5 is top3: always 100 %.",
        "1 classes have no clip and are left out of mean_class_accuracy: c.",
    ]


def test_multi_label() -> None:
    table = torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.1, 0.2], [0.1, 0.9, 0.3]])
    scores = Scores(_samples((0, 1), (0,), (1, 0)), ("a", "b", "c"), table, multi_label=True)
    assert scores.correct.tolist() == [True, True, True]
    assert scores.measure() == {"mAP": 100.0}
    assert scores.notes() == ["1 classes have no clip and are left out of mAP: c."]


def test_combine_is_the_weighted_mean() -> None:
    members = [torch.rand(5, 3, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    expected = (2 * members[0] + 1 * members[2]) / 3
    torch.testing.assert_close(combine(members, [2, 0, 1]), expected)
    torch.testing.assert_close(combine(members[:1], [7.0]), members[0])
    assert combine([torch.zeros(0, 3)], [1.0]).shape == (0, 3)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_metrics_of_fake_scores_do_not_depend_on_batches_and_order(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(41, 6, generator=generator, dtype=torch.float64)
    samples = _samples(*((label,) for label in torch.randint(6, (41,), generator=generator).tolist()))
    expected = Scores(samples, tuple("abcdef"), table).measure()
    order = torch.randperm(41, generator=generator)
    chunks = order.split(batch_size)
    shuffled = Scores(
        tuple(samples[i] for chunk in chunks for i in chunk.tolist()),
        tuple("abcdef"),
        torch.cat([table[chunk] for chunk in chunks]),
    )
    assert shuffled.measure() == pytest.approx(expected, abs=1e-6)
    assert expected["top1"] == pytest.approx(
        100
        * sum(int(row.argmax()) == sample.labels[0] for row, sample in zip(table, samples, strict=True))
        / 41
    )
