"""Which frames of a video make up a clip: pure functions from counts to indices, counted from 0.

Two schemes. *Segment* sampling (TSN, section 3.1) cuts the video into T equal spans and takes one frame from
each; *dense* sampling (I3D) takes T frames that lie ``frame_stride`` apart. `docs/sampling.md` shows every
protocol and lists where it departs from the published code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def segment_indices(num_frames: int, num_segments: int, *, snippet_length: int = 1) -> list[int]:
    """The centre of each segment; what a network is tested on.

        frames  0 1 2 3 4 5 6 7 8 9 10 11    T = 3:  [. . x .|. . x .|. . x .]

    Args:
        num_frames: frames of the video, or of the part of it that counts.
        num_segments: frames to take (T). A video with fewer frames repeats them in order.
        snippet_length: consecutive frames that belong to one index (6 for 5 fields of optical flow); the index is
            that of the first one. In a video shorter than a snippet every index is 0.

    Raises:
        ValueError: a count is below 1.

    Source: TSN, section 3.1; the arithmetic is that of the released TSM and TIN.

    Example:
        >>> from interlace.data.sampling import segment_indices
        >>> segment_indices(12, 3)
        [2, 6, 10]
    """
    return uniform_clips(num_frames, num_segments, 1, snippet_length=snippet_length)[0]


def random_segment_indices(
    num_frames: int, num_segments: int, generator: torch.Generator, *, snippet_length: int = 1
) -> list[int]:
    """One random frame of each segment; what a network is trained on. Every frame of the video can be drawn.

        frames  0 1 2 3 4 5 6 7 8 9 10       T = 3:  [? ? ?|? ? ? ?|? ? ? ?]

    Units, errors and source are those of :func:`segment_indices`; the generator is the only source of
    randomness.

    Example:
        >>> import torch
        >>> from interlace.data.sampling import random_segment_indices
        >>> random_segment_indices(3, 5, torch.Generator().manual_seed(0))
        [0, 0, 1, 1, 2]
    """
    _require_positive(num_frames=num_frames, num_segments=num_segments, snippet_length=snippet_length)
    starts = snippet_starts(num_frames, snippet_length)
    bounds = [i * starts // num_segments for i in range(num_segments + 1)]
    return [
        _random_below(max(1, bounds[i + 1] - bounds[i]), generator) + bounds[i] for i in range(num_segments)
    ]


def uniform_clips(
    num_frames: int, num_segments: int, num_clips: int, *, snippet_length: int = 1
) -> list[list[int]]:
    """Several clips of one video: each takes its frame at another place of every segment.

        frames  0 1 2 3 4 5 6 7 8 9 10 11    T = 3:  [b . a .|b . a .|b . a .]    two clips: a, then b

    One clip takes the centres, a second one the starts (TSM's "twice sample"), more are spread evenly over
    the spans. Units, errors and source are those of :func:`segment_indices`.

    Example:
        >>> from interlace.data.sampling import uniform_clips
        >>> uniform_clips(12, 3, 2)
        [[2, 6, 10], [0, 4, 8]]
    """
    _require_positive(
        num_frames=num_frames, num_segments=num_segments, num_clips=num_clips, snippet_length=snippet_length
    )
    phases = [0.5, 0.0] if num_clips == 2 else [(k + 0.5) / num_clips for k in range(num_clips)]
    # In floating point and in this order, as published: exact arithmetic may differ by a frame.
    span = snippet_starts(num_frames, snippet_length) / num_segments
    return [[int(span * phase + span * i) for i in range(num_segments)] for phase in phases]


def dense_indices(num_frames: int, num_segments: int, *, frame_stride: int = 8, start: int = 0) -> list[int]:
    """T frames, ``frame_stride`` apart; past the end they go on at the beginning.

        frames  0 1 2 3 4 5 6 7 8 9          T = 4, stride 2, start 1:  . x . x . x . x . .

    Raises:
        ValueError: a count is below 1.

    Source: the released TSM, dense sampling. `frame_stride` is counted in frames.

    Example:
        >>> from interlace.data.sampling import dense_indices
        >>> dense_indices(10, 4, frame_stride=2, start=1), dense_indices(5, 4, frame_stride=2)
        ([1, 3, 5, 7], [0, 2, 4, 1])
    """
    _require_positive(num_frames=num_frames, num_segments=num_segments, frame_stride=frame_stride)
    return [(start + i * frame_stride) % num_frames for i in range(num_segments)]


def random_dense_indices(
    num_frames: int, num_segments: int, generator: torch.Generator, *, frame_stride: int = 8
) -> list[int]:
    """A dense clip that starts at random, the last possible start included.

        frames  0 1 2 3 4 5 6 7 8 9          T = 4, stride 2:  start in {0, 1, 2}, the window of 8 fits

    Units, errors and source are those of :func:`dense_indices`.

    Example:
        >>> import torch
        >>> from interlace.data.sampling import random_dense_indices
        >>> random_dense_indices(8, 4, torch.Generator(), frame_stride=2)
        [0, 2, 4, 6]
    """
    _require_positive(num_frames=num_frames, num_segments=num_segments, frame_stride=frame_stride)
    start = _random_below(max(1, num_frames - num_segments * frame_stride + 1), generator)
    return dense_indices(num_frames, num_segments, frame_stride=frame_stride, start=start)


def dense_clips(
    num_frames: int, num_segments: int, num_clips: int, *, frame_stride: int = 8, window: int | None = None
) -> list[list[int]]:
    """Dense clips, their starts spread evenly from the first to the last possible one; one alone is centred.

        frames  0 1 2 3 4 5 6 7 8 9          T = 4, stride 2, 3 clips:  starts 0, 1, 2

    ``window`` is the number of frames that a clip is taken to cover, T * frame_stride unless told (the
    published code says 64 whatever T). Units, errors and source are those of :func:`dense_indices`.

    Example:
        >>> from interlace.data.sampling import dense_clips
        >>> dense_clips(10, 4, 3, frame_stride=2)
        [[0, 2, 4, 6], [1, 3, 5, 7], [2, 4, 6, 8]]
    """
    _require_positive(num_frames=num_frames, num_clips=num_clips)
    last_start = max(0, num_frames - (num_segments * frame_stride if window is None else window))
    starts = (
        [last_start // 2] if num_clips == 1 else np.linspace(0, last_start, num_clips, dtype=int).tolist()
    )
    return [
        dense_indices(num_frames, num_segments, frame_stride=frame_stride, start=start) for start in starts
    ]


def snippet_starts(num_frames: int, snippet_length: int) -> int:
    """At how many frames a snippet can begin that ends inside the video; 1 in a video that is shorter.

        frames  0 1 2 3 4 5 6 7        snippets of 6:  . . .  ->  3

    Example:
        >>> from interlace.data.sampling import snippet_starts
        >>> snippet_starts(8, 6), snippet_starts(2, 6)
        (3, 1)
    """
    return max(1, num_frames - snippet_length + 1)


@runtime_checkable
class Sampling(Protocol):
    """Which frames of a video make up a clip, in training and in testing."""

    @property
    def num_segments(self) -> int:
        """Indices in a clip (T)."""

    def train_indices(self, num_frames: int, generator: torch.Generator) -> list[int]:
        """One clip at random."""

    def test_indices(self, num_frames: int, num_clips: int = 1) -> list[list[int]]:
        """Clips that are the same at every call."""

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; the inverse of :func:`sampling_from_dict`."""


@dataclass(frozen=True)
class SegmentSampling:
    """One frame from each of ``num_segments`` equal spans: random in training, the centre in testing.

    Example:
        >>> from interlace.data.sampling import SegmentSampling
        >>> SegmentSampling(3).test_indices(12), SegmentSampling(3, snippet_length=6).test_indices(12)
        ([[2, 6, 10]], [[1, 3, 5]])
    """

    num_segments: int
    snippet_length: int = 1

    def train_indices(self, num_frames: int, generator: torch.Generator) -> list[int]:
        """See :func:`random_segment_indices`."""
        return random_segment_indices(
            num_frames, self.num_segments, generator, snippet_length=self.snippet_length
        )

    def test_indices(self, num_frames: int, num_clips: int = 1) -> list[list[int]]:
        """See :func:`uniform_clips`."""
        return uniform_clips(num_frames, self.num_segments, num_clips, snippet_length=self.snippet_length)

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; the inverse of :func:`sampling_from_dict`."""
        return {"name": "segment", **_told(self)}


@dataclass(frozen=True)
class DenseSampling:
    """``num_segments`` frames, ``frame_stride`` apart: random start in training, even starts in testing.

    Only frames at which a whole snippet begins are counted, so one past the last of these goes on at the beginning.

    Example:
        >>> from interlace.data.sampling import DenseSampling
        >>> DenseSampling(4, frame_stride=2).test_indices(10, num_clips=2)
        [[0, 2, 4, 6], [2, 4, 6, 8]]
    """

    num_segments: int
    frame_stride: int = 8
    snippet_length: int = 1

    def train_indices(self, num_frames: int, generator: torch.Generator) -> list[int]:
        """See :func:`random_dense_indices`."""
        starts = snippet_starts(num_frames, self.snippet_length)
        return random_dense_indices(starts, self.num_segments, generator, frame_stride=self.frame_stride)

    def test_indices(self, num_frames: int, num_clips: int = 1) -> list[list[int]]:
        """See :func:`dense_clips`."""
        starts = snippet_starts(num_frames, self.snippet_length)
        return dense_clips(starts, self.num_segments, num_clips, frame_stride=self.frame_stride)

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; the inverse of :func:`sampling_from_dict`."""
        return {"name": "dense", **_told(self)}


def sampling_from_dict(description: Mapping[str, Any]) -> Sampling:
    """The sampling that a checkpoint's header describes.

    Raises:
        ValueError: an unknown name or argument.

    Example:
        >>> from interlace.data.sampling import sampling_from_dict
        >>> sampling_from_dict({"name": "segment", "num_segments": 8})
        SegmentSampling(num_segments=8, snippet_length=1)
    """
    arguments = dict(description)
    name = arguments.pop("name", None)
    if name == "joined":
        from interlace.data.joined import JoinedSampling  # which is made of the samplings of this file

        return JoinedSampling(tuple(sampling_from_dict(part) for part in arguments.get("parts", ())))
    kinds: dict[Any, type[SegmentSampling] | type[DenseSampling]] = {
        "segment": SegmentSampling,
        "dense": DenseSampling,
    }
    if name not in kinds:
        raise ValueError(
            f"unknown sampling {name!r} in {dict(description)}; the names are segment, dense and joined"
        )
    try:
        return kinds[name](**arguments)
    except TypeError as error:
        raise ValueError(
            f"sampling {dict(description)} does not fit {kinds[name].__name__}: {error}"
        ) from error


def frame_span(
    pts_seconds: Float[np.ndarray, " num_frames"] | Float[Tensor, " num_frames"] | Sequence[float],
    start_seconds: float | None,
    end_seconds: float | None,
) -> tuple[int, int]:
    """The frames [first, stop) that are shown from ``start_seconds`` on and before ``end_seconds``.

        pts  0.0  0.4  0.5  0.9  1.4         0.5 s to 1.4 s:  . . x x .  ->  (2, 4)

    Timestamps decide, so a variable frame rate is no matter. None is an open end. Times are seconds from the
    first frame; indices drawn for ``stop - first`` frames are to be shifted by ``first``.

    Raises:
        ValueError: no frame lies inside.

    Example:
        >>> from interlace.data.sampling import frame_span
        >>> frame_span([0.0, 0.4, 0.5, 0.9, 1.4], 0.5, 1.4)
        (2, 4)
    """
    pts = np.asarray(pts_seconds, dtype=np.float64)
    slack = 1e-6  # lists write 0.033333 for a frame at 1/30 s
    first = 0 if start_seconds is None else int(np.searchsorted(pts, start_seconds - slack))
    stop = len(pts) if end_seconds is None else int(np.searchsorted(pts, end_seconds - slack))
    if first >= stop:
        times = f"from {pts[0]:g} s to {pts[-1]:g} s" if len(pts) else "none at all"
        raise ValueError(
            f"no frame lies between start {start_seconds} s and end {end_seconds} s: "
            f"the video's {len(pts)} frames are shown {times}; mend the annotation"
        )
    return first, stop


def _told(sampling: SegmentSampling | DenseSampling) -> dict[str, Any]:
    """Its settings; a snippet of one frame goes without saying, as in files written before there were others."""
    settings = asdict(sampling)
    if sampling.snippet_length == 1:
        del settings["snippet_length"]
    return settings


def _random_below(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))


def _require_positive(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
