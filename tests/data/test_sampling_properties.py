"""What holds of every way to choose frames, for any counts: a frame, a clip, hours."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import strategies as st

from interlace.data.epoch_sampler import EpochSampler, earlier_occurrences
from interlace.data.sampling import (
    DenseSampling,
    SegmentSampling,
    dense_clips,
    frame_span,
    random_segment_indices,
    sampling_from_dict,
    segment_indices,
    uniform_clips,
)
from interlace.inference.timeline import windows

num_frames = st.one_of(st.integers(1, 40), st.integers(1, 3_000_000))
"""Up to fourteen hours of sixty frames a second."""
num_segments = st.one_of(st.integers(1, 12), st.integers(1, 200))
snippet = st.integers(1, 12)
seeds = st.integers(0, 2**31)


def samplings(T: int, stride: int, length: int) -> tuple[SegmentSampling, DenseSampling]:
    return SegmentSampling(T, snippet_length=length), DenseSampling(
        T, frame_stride=stride, snippet_length=length
    )


def test_indices_are_those_of_frames_and_snippets_fit(for_all) -> None:
    def holds(frames: int, T: int, stride: int, length: int, clips: int, seed: int) -> None:
        last = max(0, frames - length)
        for sampling in samplings(T, stride, length):
            drawn = sampling.train_indices(frames, torch.Generator().manual_seed(seed))
            tested = sampling.test_indices(frames, clips)
            assert [len(clip) for clip in (drawn, *tested)] == [T] * (1 + clips)
            assert all(0 <= index <= last for clip in (drawn, *tested) for index in clip)
            assert tested == sampling.test_indices(frames, clips)
            assert drawn == sampling.train_indices(frames, torch.Generator().manual_seed(seed))
            assert sampling_from_dict(sampling.to_dict()) == sampling

    for_all(
        holds, frames=num_frames, T=num_segments, stride=st.integers(1, 64), length=snippet,
        clips=st.integers(1, 12), seed=seeds,
    )  # fmt: skip


def test_segments_are_sorted_and_take_one_frame_of_each(for_all) -> None:
    def holds(frames: int, T: int, clips: int, seed: int) -> None:
        drawn = random_segment_indices(frames, T, torch.Generator().manual_seed(seed))
        for clip in (drawn, segment_indices(frames, T), *uniform_clips(frames, T, clips)):
            assert clip == sorted(clip)
            if frames >= T:
                assert all(
                    i * frames // T <= index < -(-(i + 1) * frames // T) for i, index in enumerate(clip)
                )

    for_all(holds, frames=num_frames, T=num_segments, clips=st.integers(1, 12), seed=seeds)


def test_training_can_draw_every_frame_and_test_clips_differ(for_all) -> None:
    def holds(frames: int, T: int) -> None:
        seen: set[int] = set()
        for seed in range(60 * frames):
            seen.update(random_segment_indices(frames, T, torch.Generator().manual_seed(seed)))
            if len(seen) == frames:
                break
        assert seen == set(range(frames))
        whole = uniform_clips(frames * T, T, frames)  # as many clips as a segment has frames
        assert sorted(index for clip in whole for index in clip) == list(range(frames * T))

    for_all(holds, frames=st.integers(1, 9).filter(lambda frames: frames != 2), T=st.integers(1, 6))


def test_dense_clips_go_on_at_the_beginning(for_all) -> None:
    def holds(frames: int, T: int, stride: int, clips: int) -> None:
        found = dense_clips(frames, T, clips, frame_stride=stride)
        for clip in found:
            assert all((b - a - stride) % frames == 0 for a, b in pairwise(clip))
        starts = [clip[0] for clip in found]
        assert starts == sorted(starts)
        if clips > 1:
            assert (starts[0], starts[-1]) == (0, max(0, frames - T * stride))

    for_all(holds, frames=num_frames, T=num_segments, stride=st.integers(1, 64), clips=st.integers(1, 12))


def test_frame_span_is_what_a_loop_finds(for_all) -> None:
    def holds(gaps: list[float], start: float, length: float) -> None:
        pts = [math.fsum(gaps[:i]) for i in range(len(gaps))]
        end = start + length
        inside = [i for i, time in enumerate(pts) if start - 1e-6 <= time < end - 1e-6]
        if inside:
            first, stop = frame_span(pts, start, end)
            assert list(range(first, stop)) == inside
        else:
            with pytest.raises(ValueError, match="no frame lies between"):
                frame_span(pts, start, end)

    gaps = st.lists(st.floats(0.001, 1.0), min_size=1, max_size=12)
    for_all(holds, gaps=gaps, start=st.floats(0, 6), length=st.floats(0, 6))


def test_an_epoch_is_every_clip_once(for_all) -> None:
    def holds(num_samples: int, seed: int, epoch: int) -> None:
        sampler = EpochSampler(num_samples, seed=seed)
        sampler.set_epoch(epoch)
        assert sorted(sampler) == list(range(num_samples))
        assert list(sampler) == list(sampler)

    for_all(holds, num_samples=st.integers(1, 3000), seed=seeds, epoch=st.integers(0, 10**6))


def test_weights_draw_each_clip_by_its_share(for_all) -> None:
    def holds(weights: list[float], seed: int) -> None:
        total = sum(weights)
        order = torch.tensor(
            list(EpochSampler(len(weights), seed, torch.tensor(weights, dtype=torch.float64)))
        )
        assert len(set(order.tolist())) == len(weights)  # each occurrence has a number of its own
        counts = torch.bincount(order % len(weights), minlength=len(weights))
        for count, weight in zip(counts.tolist(), weights, strict=True):
            share = len(weights) * weight / total
            assert math.floor(share - 1e-6) <= count <= math.ceil(share + 1e-6)
        assert torch.equal(order // len(weights), earlier_occurrences(order % len(weights)))

    weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=60)
    for_all(holds, weights=weights, seed=seeds)


def test_windows_cover_the_video_and_none_leaves_it(for_all) -> None:
    def holds(duration: float, window: float, share: float) -> None:
        found = windows(duration, window, window * share)
        assert found[0][0] == 0
        assert found[-1][1] == duration
        assert all(0 <= start < end <= duration + 1e-6 for start, end in found)
        assert all(b[0] <= a[1] + 1e-6 and a[0] < b[0] + 1e-6 for a, b in pairwise(found))

    for_all(
        holds, duration=st.floats(0.01, 4000), window=st.floats(0.5, 30), share=st.floats(0.05, 1.0)
    )  # fmt: skip
