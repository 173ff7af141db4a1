from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from interlace.data.sampling import (
    DenseSampling,
    SegmentSampling,
    dense_clips,
    dense_indices,
    frame_span,
    random_dense_indices,
    random_segment_indices,
    sampling_from_dict,
    segment_indices,
    uniform_clips,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "snippet_length", "expected"),
    [
        (12, 3, 1, [2, 6, 10]),
        (8, 8, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
        (10, 4, 1, [1, 3, 6, 8]),
        (300, 8, 1, [18, 56, 93, 131, 168, 206, 243, 281]),
        (7, 1, 1, [3]),
        (3, 8, 1, [0, 0, 0, 1, 1, 2, 2, 2]),  # fewer frames than segments: repeated in order
        (1, 4, 1, [0, 0, 0, 0]),
        (20, 3, 5, [2, 8, 13]),  # the last snippet ends at frame 17
        (7, 3, 5, [0, 1, 2]),
        (5, 3, 5, [0, 0, 0]),
        (2, 3, 5, [0, 0, 0]),  # shorter than a snippet (released: frame numbers 0 and -1)
    ],
)
def test_segment_indices(num_frames, num_segments, snippet_length, expected):
    assert segment_indices(num_frames, num_segments, snippet_length=snippet_length) == expected


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "num_clips", "expected"),
    [
        (12, 3, 1, [[2, 6, 10]]),
        (12, 3, 2, [[2, 6, 10], [0, 4, 8]]),
        (12, 3, 4, [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]),
        (9, 2, 3, [[0, 5], [2, 6], [3, 8]]),
        (1, 2, 3, [[0, 0], [0, 0], [0, 0]]),
    ],
)
def test_uniform_clips(num_frames, num_segments, num_clips, expected):
    assert uniform_clips(num_frames, num_segments, num_clips) == expected


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "frame_stride", "start", "expected"),
    [
        (10, 4, 2, 0, [0, 2, 4, 6]),
        (10, 4, 2, 3, [3, 5, 7, 9]),
        (5, 4, 2, 0, [0, 2, 4, 1]),  # past the end it goes on at the beginning
        (1, 3, 8, 0, [0, 0, 0]),
    ],
)
def test_dense_indices(num_frames, num_segments, frame_stride, start, expected):
    assert dense_indices(num_frames, num_segments, frame_stride=frame_stride, start=start) == expected


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "window", "expected_starts"),
    [
        (20, 1, None, [6]),  # one clip: the middle
        (20, 2, None, [0, 12]),
        (20, 4, None, [0, 4, 8, 12]),
        (20, 3, 16, [0, 2, 4]),
        (8, 3, None, [0, 0, 0]),
        (6, 2, None, [0, 0]),
    ],
)
def test_dense_clips(num_frames, num_clips, window, expected_starts):
    clips = dense_clips(num_frames, 4, num_clips, frame_stride=2, window=window)
    assert clips == [dense_indices(num_frames, 4, frame_stride=2, start=start) for start in expected_starts]


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "expected"),
    [
        (7, 3, [{0, 1}, {2, 3}, {4, 5, 6}]),
        (3, 3, [{0}, {1}, {2}]),
        (5, 2, [{0, 1}, {2, 3, 4}]),
        (3, 5, [{0}, {0}, {1}, {1}, {2}]),
        (1, 4, [{0}, {0}, {0}, {0}]),
    ],
)
def test_random_segment_indices_draw_every_frame_of_their_span(num_frames, num_segments, expected):
    generator = seeded()
    draws = [random_segment_indices(num_frames, num_segments, generator) for _ in range(100)]
    assert [set(position) for position in zip(*draws, strict=True)] == expected


def test_random_segment_indices_of_snippets_stay_inside():
    generator = seeded()
    draws = [random_segment_indices(11, 3, generator, snippet_length=5) for _ in range(100)]
    assert [set(position) for position in zip(*draws, strict=True)] == [{0, 1}, {2, 3}, {4, 5, 6}]
    assert random_segment_indices(2, 3, generator, snippet_length=5) == [0, 0, 0]


def test_random_dense_indices_draw_the_last_start_too():
    generator = seeded()
    draws = {tuple(random_dense_indices(10, 4, generator, frame_stride=2)) for _ in range(100)}
    assert draws == {(0, 2, 4, 6), (1, 3, 5, 7), (2, 4, 6, 8)}
    assert random_dense_indices(5, 4, generator, frame_stride=2) == [0, 2, 4, 1]


@pytest.mark.parametrize("sampling", [SegmentSampling(5), DenseSampling(5, frame_stride=3)])
def test_samplings_repeat_by_seed_and_stay_inside(sampling):
    state = torch.random.get_rng_state()
    for num_frames in (1, 2, 4, 5, 6, 23, 61):
        first, again = (sampling.train_indices(num_frames, seeded(num_frames)) for _ in range(2))
        assert first == again
        for indices in [first, *sampling.test_indices(num_frames, num_clips=3)]:
            assert len(indices) == 5
            assert all(type(index) is int and 0 <= index < num_frames for index in indices)
    assert torch.equal(state, torch.random.get_rng_state())


def test_segment_indices_never_run_backwards():
    for num_frames in range(1, 40):
        for num_segments in (1, 3, 8, 16):
            for clip in [
                *uniform_clips(num_frames, num_segments, 10),
                random_segment_indices(num_frames, num_segments, seeded()),
            ]:
                assert clip == sorted(clip)


def test_a_dense_window_of_two_frames_a_segment_is_that_of_the_released_tin():
    starts = {DenseSampling(8, frame_stride=2).train_indices(18, seeded(seed))[0] for seed in range(50)}
    assert starts == {0, 1, 2}


@pytest.mark.parametrize("sampling", [SegmentSampling(8), DenseSampling(16, frame_stride=4)])
def test_sampling_survives_json(sampling):
    assert sampling_from_dict(json.loads(json.dumps(sampling.to_dict()))) == sampling


def test_sampling_to_dict():
    assert SegmentSampling(8).to_dict() == {"name": "segment", "num_segments": 8}
    assert DenseSampling(4).to_dict() == {"name": "dense", "num_segments": 4, "frame_stride": 8}


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"name": "sparse", "num_segments": 8}, "unknown sampling 'sparse'"),
        ({"num_segments": 8}, "unknown sampling None"),
        ({"name": "segment", "frame_stride": 8}, "does not fit SegmentSampling"),
    ],
)
def test_sampling_from_dict_names_what_is_wrong(description, message):
    with pytest.raises(ValueError, match=message):
        sampling_from_dict(description)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: segment_indices(0, 3), "num_frames must be at least 1, got 0"),
        (lambda: segment_indices(3, 0), "num_segments must be at least 1, got 0"),
        (lambda: segment_indices(3, 3, snippet_length=0), "snippet_length must be at least 1, got 0"),
        (lambda: uniform_clips(3, 3, 0), "num_clips must be at least 1, got 0"),
        (lambda: random_segment_indices(0, 3, seeded()), "num_frames must be at least 1, got 0"),
        (lambda: dense_indices(3, 3, frame_stride=0), "frame_stride must be at least 1, got 0"),
        (lambda: dense_clips(0, 3, 2), "num_frames must be at least 1, got 0"),
        (lambda: random_dense_indices(3, -1, seeded()), "num_segments must be at least 1, got -1"),
    ],
)
def test_counts_below_one_are_named(function, message):
    with pytest.raises(ValueError, match=message):
        function()


PTS = [0.0, 0.4, 0.5, 0.9, 1.4]  # a variable frame rate


@pytest.mark.parametrize(
    ("start_seconds", "end_seconds", "expected"),
    [
        (None, None, (0, 5)),
        (0.5, 1.4, (2, 4)),  # from the start on, before the end
        (None, 0.5, (0, 2)),
        (0.41, None, (2, 5)),
        (0.0, 99.0, (0, 5)),
        (0.5000004, 0.9000004, (2, 3)),  # rounded times in the list
    ],
)
@pytest.mark.parametrize("as_type", [list, np.array, lambda pts: torch.tensor(pts, dtype=torch.float64)])
def test_frame_span(start_seconds, end_seconds, expected, as_type):
    assert frame_span(as_type(PTS), start_seconds, end_seconds) == expected


@pytest.mark.parametrize(("start_seconds", "end_seconds"), [(0.6, 0.8), (1.5, 3.0), (0.9, 0.5), (0.5, 0.5)])
def test_frame_span_without_frames_names_the_numbers(start_seconds, end_seconds):
    message = (
        f"start {start_seconds} s and end {end_seconds} s: the video's 5 frames are shown from 0 s to 1.4 s"
    )
    with pytest.raises(ValueError, match=message):
        frame_span(PTS, start_seconds, end_seconds)


def recorded(reference_dir):
    cases = json.loads((reference_dir / "sampling_indices.json").read_text())
    assert len(cases) == 116
    return cases


def from_zero(numbers):
    return [number - 1 for number in numbers]


@pytest.mark.reference
def test_segment_indices_equal_the_released_ones(reference_dir):
    deviations = []
    for case in recorded(reference_dir):
        n, T, L = case["num_frames"], case["num_segments"], case["new_length"]
        clips = uniform_clips(n, T, 2, snippet_length=L)
        assert clips[0] == segment_indices(n, T, snippet_length=L)
        for clip, released in [
            (clips[0], from_zero(case["test_center"])),
            (clips[1], from_zero(case["twice_sample"])[T:]),
        ]:
            if clip != released:
                assert min(released) < 0  # frame numbers that do not exist
                assert clip == [0] * T
                deviations.append((n, T, L))
    assert set(deviations) == {(1, 3, 5), (2, 5, 5), (1, 8, 5), (2, 16, 5)}


@pytest.mark.reference
def test_dense_clips_equal_the_released_ones(reference_dir):
    for case in recorded(reference_dir):
        n, T = case["num_frames"], case["num_segments"]
        numbers = from_zero(case["dense10"])
        released = [numbers[k : k + T] for k in range(0, 10 * T, T)]
        assert dense_clips(n, T, 10, frame_stride=64 // T, window=64) == released
        if 64 % T == 0:
            assert DenseSampling(T, frame_stride=64 // T).test_indices(n, 10) == released


@pytest.mark.parametrize(
    ("sampling", "num_frames", "expected"),
    [
        (
            SegmentSampling(3, snippet_length=6),
            20,
            [2, 7, 12],
        ),  # 15 starts: the last snippet is frames 12 to 17
        (SegmentSampling(3, 6), 6, [0, 0, 0]),
        (SegmentSampling(3, 6), 2, [0, 0, 0]),
        (DenseSampling(3, 2, snippet_length=6), 20, [4, 6, 8]),  # starts 0 to 14, of which 0 to 9 leave room
        (DenseSampling(3, 2, 6), 10, [0, 2, 4]),
        (DenseSampling(3, 2, 6), 9, [0, 2, 0]),  # frames 0 to 3 can begin one: it goes on at the beginning
        (DenseSampling(3, 2, 6), 1, [0, 0, 0]),
    ],
)
def test_snippets_end_inside_the_video(sampling, num_frames, expected):
    assert sampling.test_indices(num_frames) == [expected]
    last = max(0, num_frames - 6)
    drawn = {i for seed in range(60) for i in sampling.train_indices(num_frames, seeded(seed))}
    assert max(drawn) == last or (isinstance(sampling, DenseSampling) and max(drawn) <= last)
    assert max(i for clip in sampling.test_indices(num_frames, 7) for i in clip) <= last


def test_a_snippet_of_one_frame_goes_without_saying():
    assert SegmentSampling(4).to_dict() == {"name": "segment", "num_segments": 4}
    assert DenseSampling(4, 3).to_dict() == {"name": "dense", "num_segments": 4, "frame_stride": 3}
    for sampling in (SegmentSampling(4, 6), DenseSampling(4, 3, 6)):
        assert sampling.to_dict()["snippet_length"] == 6
        assert sampling_from_dict(sampling.to_dict()) == sampling


def test_parts_of_an_ensemble_are_described_as_one():
    from interlace.data.joined import JoinedSampling

    sampling = JoinedSampling((SegmentSampling(2), DenseSampling(3, 4, 6)))
    assert sampling_from_dict(json.loads(json.dumps(sampling.to_dict()))) == sampling
    with pytest.raises(ValueError, match="no parts"):
        sampling_from_dict({"name": "joined"})
