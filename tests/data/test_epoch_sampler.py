from __future__ import annotations

from collections import Counter

import pytest
import torch

from interlace.data.epoch_sampler import EpochSampler, balanced_weights
from interlace.data.seed import mixed_seed


def draw(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_clip_once_in_an_order_of_seed_and_epoch() -> None:
    sampler = EpochSampler(11, seed=5)
    first, second = draw(sampler, 0), draw(sampler, 1)
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert first != list(range(11))
    assert draw(EpochSampler(11, seed=5), 1) == second
    assert draw(EpochSampler(11, seed=6), 1) != second


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = draw(EpochSampler(11, seed=5), 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    assert draw(EpochSampler(11, seed=5), 3) == first


def test_repeats_have_positions_of_their_own() -> None:
    weights = torch.tensor([7.0, *[1.0] * 9], dtype=torch.float64)
    positions = draw(EpochSampler(10, 5, weights), 2)
    assert len(set(positions)) == len(positions) == 10
    counts = Counter(position % 10 for position in positions)
    assert counts[0] >= 4
    for index, count in counts.items():  # in the order in which they come
        assert [p for p in positions if p % 10 == index] == [index + 10 * k for k in range(count)]


def test_classes_are_drawn_equally_often() -> None:
    labels = [(0,)] * 80 + [(1,)] * 15 + [(2,)] * 5
    sampler = EpochSampler(100, seed=5, weights=balanced_weights(labels, 3))
    drawn = [position % 100 for position in draw(sampler, 0)]
    per_class = Counter(labels[i][0] for i in drawn)
    assert len(drawn) == 100
    assert all(abs(per_class[label] - 100 / 3) <= 6 for label in range(3))
    counts = Counter(drawn)
    for label, size in enumerate((80, 15, 5)):  # each clip the floor or the ceiling of its share
        share = 100 / 3 / size
        assert {counts[i] for i in range(100) if labels[i] == (label,)} <= {int(share), int(share) + 1}
    seen = {position % 100 for epoch in range(20) for position in draw(sampler, epoch)}
    assert seen == set(range(100))


def test_equal_weights_give_every_clip_once() -> None:
    assert sorted(draw(EpochSampler(9, 5, torch.full((9,), 0.3, dtype=torch.float64)), 0)) == list(range(9))


def test_zero_weight_is_never_drawn() -> None:
    weights = torch.tensor([0.0, 1.0, 2.0, 0.0], dtype=torch.float64)
    drawn = {position % 4 for epoch in range(30) for position in draw(EpochSampler(4, 5, weights), epoch)}
    assert drawn == {1, 2}


def test_balanced_weights_of_several_labels_take_the_rarest() -> None:
    assert balanced_weights([(0,), (0, 1), (0,), (2,), (2,)], 3).tolist() == [1 / 3, 1.0, 1 / 3, 0.5, 0.5]


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"num_samples=0: there is no clip"):
        EpochSampler(0, seed=0)
    with pytest.raises(ValueError, match=r"weights must be 4 numbers >= 0"):
        EpochSampler(4, seed=0, weights=torch.zeros(4, dtype=torch.float64))


def test_mixed_seed() -> None:
    assert mixed_seed(0, 1, 2) == mixed_seed(0, 1, 2)
    assert len({mixed_seed(a, b) for a in range(20) for b in range(20)}) == 400
    assert 0 <= mixed_seed(-1) < 2**63
