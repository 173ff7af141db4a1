from __future__ import annotations

from functools import partial

import pytest
import torch

from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.tasks.batches import batch_reader, in_memory
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess


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


def of_length(num_segments: int, dtype: torch.dtype = torch.float32) -> Timeline:
    rows = torch.rand(num_segments, 7, dtype=dtype)
    return Timeline(
        f"{num_segments}.mp4", rows, rows[:, None, :5].clone(), 0, torch.ones(num_segments, dtype=torch.bool)
    )


def test_a_long_film_among_clips_is_no_reason_to_fill_them_up():
    """48 bytes a segment: 9 clips of 2 segments and a film of 90 are 5 kB, side by side 43."""
    lengths = [2] * 9 + [90]
    timelines = in_memory(ReadOnAccess(10, lambda number: of_length(lengths[number])), memory_bytes=10_000)
    assert isinstance(timelines, tuple)
    batch = batch_reader(timelines, memory_bytes=10_000)
    assert not isinstance(batch, partial)  # of one large batch
    assert isinstance(batch_reader(timelines, memory_bytes=50_000), partial)
    assert torch.equal(batch(torch.tensor([9, 0])).audio[0], timelines[9].audio)


def test_what_turns_out_larger_than_memory_is_read_as_it_comes():
    lengths = [2] * 9 + [90]
    timelines = ReadOnAccess(10, lambda number: of_length(lengths[number]))
    assert in_memory(timelines, memory_bytes=2000) is timelines
    assert batch_reader(timelines, memory_bytes=2000)(torch.tensor([9])).audio.shape == (1, 90, 7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("memory_bytes", [2**20, 0])
def test_networks_are_given_float32(dtype, memory_bytes):
    timeline = of_length(3, dtype)
    batch = batch_reader([timeline], memory_bytes=memory_bytes)(torch.tensor([0]))
    assert batch.audio.dtype == batch.visual.dtype == torch.float32
    assert torch.equal(batch.audio[0], timeline.audio.float())


def test_features_that_are_no_numbers_are_named():
    timelines = [of_length(3), of_length(4)]
    timelines[1].visual[2, 0, 1] = torch.inf
    with pytest.raises(ValueError, match=r"^4\.mp4: features of its picture are not finite"):
        batch_reader(timelines)
