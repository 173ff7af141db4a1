"""The order in which training clips are seen: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor
from torch.utils.data import Sampler

from interlace.data.seed import mixed_seed


class EpochSampler(Sampler[int]):
    """Positions of one epoch, for all devices together; every clip once, or by ``weights``.

    With ``weights`` (one a clip) as many clips are drawn as there are; a clip whose share is 2.3 comes two or
    three times. The position of a clip's first occurrence in the epoch is its index, that of the next one
    index + num_samples, then index + 2 num_samples: a data set can draw each anew. The devices' shares of this order
    are dealt out by :class:`interlace.data.epoch_plan.EpochPlan`.

    ``arrange`` puts an epoch's clips in another order, of (clips, epoch): see
    :class:`interlace.data.shards.order.ReadingOrder`.

    Raises:
        ValueError: no clip, weights of the wrong number or all zero.

    Example:
        >>> from interlace.data.epoch_sampler import EpochSampler
        >>> sorted(EpochSampler(4, seed=0))
        [0, 1, 2, 3]
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        weights: Float64[Tensor, " num_samples"] | None = None,
        arrange: Callable[[Int64[Tensor, " num_samples"], int], Int64[Tensor, " num_samples"]] | None = None,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples={num_samples}: there is no clip to draw")
        if weights is not None and (len(weights) != num_samples or weights.min() < 0 or weights.sum() <= 0):
            raise ValueError(
                f"weights must be {num_samples} numbers >= 0 with a positive sum, one for each clip"
            )
        self.num_samples = num_samples
        self.seed = seed
        self.weights = weights
        self.arrange = arrange
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass is for."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.epoch).tolist())

    def order(self, epoch: int) -> Int64[Tensor, " num_samples"]:
        """The epoch's order."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch))
        order = torch.randperm(self.num_samples, generator=generator)
        if self.weights is not None:
            drawn = order[systematic_draw(self.weights[order], generator)]
            order = drawn[torch.randperm(self.num_samples, generator=generator)]
        if self.arrange is not None:
            order = self.arrange(order, epoch)
        return order + self.num_samples * earlier_occurrences(order)


def earlier_occurrences(order: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """For each entry, how many of those before it are equal to it.

    Example:
        >>> import torch
        >>> from interlace.data.epoch_sampler import earlier_occurrences
        >>> earlier_occurrences(torch.tensor([7, 5, 7, 7, 5])).tolist()
        [0, 0, 1, 2, 1]
    """
    by_value, places = order.sort(stable=True)
    first_of_run = torch.searchsorted(by_value, by_value)
    return torch.empty_like(order).scatter_(0, places, torch.arange(len(order)) - first_of_run)


def systematic_draw(weights: Float64[Tensor, " n"], generator: torch.Generator) -> Int64[Tensor, " n"]:
    """Evenly spaced marks on the cumulated weights: index i comes n w_i / sum(w) times, rounded up or down.

    Independent draws would miss a third of the clips in each epoch even when all weights are equal.
    """
    n = len(weights)
    marks = (
        torch.arange(n, dtype=torch.float64) + torch.rand(1, generator=generator, dtype=torch.float64)
    ) / n
    cumulated = weights.cumsum(0)
    return torch.searchsorted(cumulated, marks * cumulated[-1], right=True).clamp(max=n - 1)


def balanced_weights(labels: Sequence[tuple[int, ...]], num_classes: int) -> Float64[Tensor, " num_samples"]:
    """Weights with which every class is drawn equally often; a clip of several classes counts as its rarest.

    Example:
        >>> from interlace.data.epoch_sampler import balanced_weights
        >>> balanced_weights([(0,), (0,), (1,)], num_classes=2)
        tensor([0.5000, 0.5000, 1.0000], dtype=torch.float64)
    """
    counts = [0] * num_classes
    for clip_labels in labels:
        for label in clip_labels:
            counts[label] += 1
    return torch.tensor([1 / min(counts[label] for label in clip) for clip in labels], dtype=torch.float64)
