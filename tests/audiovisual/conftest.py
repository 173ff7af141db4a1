"""Timelines whose events can be learned in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet

K, A, D, P = 3, 7, 11, 1


@pytest.fixture(scope="session")
def made_set() -> Callable[..., TimelineSet]:
    """Makes timelines of 4 to 6 segments: in the event both rows are a code of its label, elsewhere of two others.

    The first two of a set are background only, and full of their event.
    """

    def make(count: int, seed: int, *, labels: tuple[str, ...] = ("bark", "horn", "bell")) -> TimelineSet:
        codes = torch.Generator().manual_seed(99)
        heard, seen = torch.randn(K, A, generator=codes), torch.randn(K, D, generator=codes)
        chance = torch.Generator().manual_seed(seed)

        def draw(low: int, high: int) -> int:
            return int(torch.randint(low, high, (1,), generator=chance))

        timelines = []
        for number in range(count):
            segments, event = draw(4, 7), draw(0, K)
            length = (0, segments)[number] if number < 2 else draw(1, segments)
            start = draw(0, segments - length + 1)
            relevant = (torch.arange(segments) >= start) & (torch.arange(segments) < start + length)
            other = torch.randint(0, K, (segments,), generator=chance)
            audio = heard[torch.where(relevant, event, other)]
            visual = seen[torch.where(relevant, event, (other + 1) % K)]
            noise = 0.1 * torch.randn(segments, A + D, generator=chance)
            timelines.append(
                Timeline(
                    f"{seed}-{number}.mp4",
                    audio + noise[:, :A],
                    (visual + noise[:, A:])[:, None],
                    event if length else NO_EVENT,
                    relevant,
                )
            )
        return TimelineSet(labels, tuple(timelines), f"set {seed}")

    return make
