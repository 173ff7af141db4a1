from __future__ import annotations

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Batch, Timeline, collate
from interlace.audiovisual.models.cml import (
    CrossModalNetwork,
    Query,
    event_start,
    is_asked,
    is_contiguous,
    place,
)


def batch(*rows: list[int]) -> Batch:
    """Timelines of which only the regions matter."""
    return collate(
        [
            Timeline(
                "x",
                torch.zeros(len(row), 3),
                torch.zeros(len(row), 1, 2),
                0 if any(row) else NO_EVENT,
                torch.tensor(row).bool(),
            )
            for row in rows
        ]
    )


@pytest.mark.parametrize(
    ("scores", "length", "num_segments", "start"),
    [
        ([0.0, 0.0, 5.0, 0.0, 0.0], 1, 5, 2),
        ([0.0, 3.0, 2.0, 4.0, 0.0], 2, 5, 2),
        ([9.0, 0.0, 0.0, 5.0, 5.0], 2, 5, 3),
        ([9.0, 0.0, 0.0, 5.0, 5.0], 2, 4, 0),  # the fifth segment is padding
        ([-1.0, -1.0, -9.0, -9.0, -9.0], 3, 5, 0),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 2, 5, 0),  # the first of equals
        ([1.0, 2.0, 3.0, 4.0, 5.0], 5, 5, 0),  # one place only
        ([-5.0, -4.0, -3.0, 7.0, 7.0], 3, 3, 0),
    ],
)
def test_place(scores: list[float], length: int, num_segments: int, start: int) -> None:
    mask = torch.arange(len(scores)) < num_segments
    assert place(torch.tensor([scores]), torch.tensor([length]), mask[None]).tolist() == [start]


def test_place_tries_every_start() -> None:
    scores = torch.randn(40, 9)
    size = torch.randint(3, 10, (40,))
    length = torch.tensor([int(torch.randint(1, n + 1, ())) for n in size.tolist()])
    found = place(scores, length, torch.arange(9) < size[:, None])
    for row, n, window, start in zip(scores, size.tolist(), length.tolist(), found.tolist(), strict=True):
        sums = [float(row[s : s + window].double().sum()) for s in range(n - window + 1)]
        assert start == max(range(len(sums)), key=lambda s: sums[s])


@pytest.mark.parametrize("length", [0, 4])
def test_a_window_that_does_not_fit_is_an_error(length: int) -> None:
    with pytest.raises(ValueError, match=rf"windows of \[{length}\] segments in videos of \[3\]"):
        place(torch.zeros(1, 5), torch.tensor([length]), torch.tensor([[True] * 3 + [False] * 2]))


def test_who_is_asked() -> None:
    videos = batch(
        [0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1], [1, 1, 0], [0, 0, 0, 0, 0, 1]
    )
    assert is_asked(videos).tolist() == [True, False, False, False, False, True, True]
    assert is_contiguous(videos.relevant).tolist() == [True, True, True, False, True, True, True]
    assert event_start(videos.relevant).tolist() == [1, 0, 0, 0, 0, 0, 5]


class Fixed(CrossModalNetwork):
    """Its scores are given."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def relevance(self, batch: Batch, query: Query) -> torch.Tensor:
        return self.scores if query == "audio" else -self.scores


def test_a_hit_is_the_exact_start() -> None:
    network = Fixed(torch.tensor([[0.0, 5.0, 5.0, 0.0], [5.0, 5.0, 0.0, 0.0]]))
    videos = batch([0, 1, 1, 0], [0, 1, 1, 0])
    assert network.starts(videos, "audio").tolist() == [1, 0]
    assert network.hits(videos, network.starts(videos, "audio")).tolist() == [
        1.0,
        0.0,
    ]  # one segment off is wrong
    assert network.hits(videos, network.starts(videos, "visual")).tolist() == [0.0, 0.0]


def test_a_video_without_event_has_no_start() -> None:
    with pytest.raises(ValueError, match="a window has one segment at least"):
        Fixed(torch.zeros(1, 4)).starts(batch([0, 0, 0, 0]), "audio")
