from __future__ import annotations

import pytest
import torch

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.tasks.batches import batch_reader


@pytest.mark.parametrize("memory_bytes", [2**20, 0])
def test_a_batch_is_that_of_its_timelines_whether_all_fit_into_memory_or_not(made_set, memory_bytes):
    timelines = made_set(9, 0)
    numbers = torch.tensor([7, 0, 3])
    batch = batch_reader(timelines, memory_bytes=memory_bytes)(numbers)
    expected = collate([timelines[number] for number in numbers.tolist()])
    for name, value in vars(expected).items():
        assert torch.equal(getattr(batch, name), value), name


def test_a_batch_is_as_long_as_its_longest(made_set):
    timelines = made_set(9, 0)
    read = batch_reader(timelines)
    for number, timeline in enumerate(timelines):
        assert read(torch.tensor([number])).audio.shape == (1, *timeline.audio.shape)


def test_features_of_two_extractors_are_refused():
    def of(name: str, places: int) -> Timeline:
        return Timeline(
            name, torch.zeros(2, 7), torch.zeros(2, places, 11), 0, torch.ones(2, dtype=torch.bool)
        )

    with pytest.raises(ValueError, match=r"b\.mp4 has features of size \(7,\) \(sound\) and \(4, 11\)"):
        batch_reader([of("a.mp4", 1), of("b.mp4", 4)])


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="the split is empty"):
        batch_reader([])
