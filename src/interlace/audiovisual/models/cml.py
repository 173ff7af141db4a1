"""Cross-modality localization (CML): where in one modality is what the other shows, or sounds?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from interlace.audiovisual.timelines.timeline import NO_EVENT, Batch

Query = Literal["audio", "visual"]
"""The modality whose event region is given; the other one is searched (audio: A2V, visual: V2A)."""


def window_sums(scores: Float[Tensor, "B N"], length: Tensor) -> Float[Tensor, "B N"]:
    """The sum of the scores over the window of each start; windows that leave the row are summed up to its end.

    On the CPU and in float64, which not every device has: sums are compared with each other.

    Args:
        scores: one a segment.
        length: int64 (B,), segments in each video's window.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.cml import window_sums
        >>> window_sums(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), torch.tensor([2]))
        tensor([[ 3.,  6., 12.,  8.]], dtype=torch.float64)
    """
    before = torch.nn.functional.pad(scores.cpu().double().cumsum(1), (1, 0))
    end = (torch.arange(scores.shape[1]) + length.cpu()[:, None]).clamp(max=scores.shape[1])
    return before.gather(1, end) - before[:, :-1]


def best_start(sums: Float[Tensor, "B N"], length: Tensor, mask: Bool[Tensor, "B N"]) -> Tensor:
    """int64 (B,): the start with the highest score whose window lies inside the video; the first of equals.

    Raises:
        ValueError: a window is longer than its video, or has no segment.
    """
    last = mask.sum(1) - length
    if bool(((last < 0) | (length < 1)).any()):
        raise ValueError(
            f"windows of {length.tolist()} segments in videos of {mask.sum(1).tolist()}; a window has one segment at "
            "least and fits into its video"
        )
    start = torch.arange(sums.shape[1], device=sums.device)
    outside = start > last.to(sums.device)[:, None]
    return sums.masked_fill(outside, -torch.inf).argmax(1).to(mask.device)


def place(scores: Float[Tensor, "B N"], length: Tensor, mask: Bool[Tensor, "B N"]) -> Tensor:
    """int64 (B,): the start of the window with the highest summed score, of all that lie inside the video.

    With log-odds as scores it is the window under which the segments' labels are most likely.

    Args:
        scores: one a segment.
        length: int64 (B,), segments in each video's window (l).
        mask: the segments that there are; the starts are 0 to N - l.

    Raises:
        ValueError: a window is longer than its video, or has no segment.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.cml import place
        >>> place(torch.tensor([[0.0, 3.0, 2.0, 4.0, 9.0]]), torch.tensor([2]), torch.tensor([[True] * 4 + [False]]))
        tensor([2])
    """
    return best_start(window_sums(scores, length), length, mask)


def event_start(relevant: Bool[Tensor, "B N"]) -> Tensor:
    """int64 (B,): the first segment of the event; 0 where there is none."""
    return relevant.int().argmax(1)


def is_contiguous(relevant: Bool[Tensor, "B N"]) -> Bool[Tensor, " B"]:
    """The event is one run of segments (or none).

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.cml import is_contiguous
        >>> is_contiguous(torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]).bool())
        tensor([ True, False])
    """
    begins = relevant & ~torch.nn.functional.pad(relevant, (1, 0))[:, :-1]
    return begins.sum(1) <= 1


def is_asked(batch: Batch) -> Bool[Tensor, " B"]:
    """Which videos the protocol asks about: one run of event, that does not fill the video.

    Background from end to end has no query, an event that fills the video has one possible start, and one in several
    pieces has no exact start: all three are left out.

    Example:
        >>> import torch
        >>> from interlace.audiovisual import Timeline, collate
        >>> from interlace.audiovisual.models.cml import is_asked
        >>> def video(*relevant):
        ...     audio, visual = torch.zeros(4, 3), torch.zeros(4, 1, 5)
        ...     return Timeline("x", audio, visual, max(relevant) - 1, torch.tensor(relevant).bool())
        >>> is_asked(collate([video(0, 1, 1, 0), video(0, 0, 0, 0), video(1, 1, 1, 1), video(1, 0, 1, 0)]))
        tensor([ True, False, False, False])
    """
    fills = batch.relevant.sum(1) == batch.mask.sum(1)
    return (batch.event != NO_EVENT) & ~fills & is_contiguous(batch.relevant)


class CrossModalNetwork(nn.Module, ABC):
    """What is asked of every network of CML."""

    @abstractmethod
    def relevance(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """How well each segment of the other modality fits the query, whose region is ``batch.relevant``."""

    def window_scores(self, batch: Batch, query: Query) -> Float[Tensor, "B N"]:
        """The score of each start: the sum over the window, but for networks that compare windows as a whole."""
        return window_sums(self.relevance(batch, query), batch.relevant.sum(1))

    @torch.no_grad()
    def starts(self, batch: Batch, query: Query) -> Tensor:
        """int64 (B,): where the other modality is predicted to have the event.

        Raises:
            ValueError: a video has no event.
        """
        return best_start(self.window_scores(batch, query), batch.relevant.sum(1), batch.mask)

    def hits(self, batch: Batch, starts: Tensor) -> Float[Tensor, " B"]:
        """1 where a start (int64 (B,)) is exactly right, else 0; for chance, the probability of that. On the CPU."""
        return (starts == event_start(batch.relevant)).cpu().double()
