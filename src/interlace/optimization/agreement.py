"""How far an optimized network's logits are from the original's, and how much faster it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.models import VideoModel
from interlace.models.ensemble import Ensemble

# Reordered float32 arithmetic moves the logits of ResNet-50 by 6e-7 of their size, bfloat16 by 0.005. Above these
# bounds something is wrong with the network, not with the rounding.
LIMITS = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
NUM_CLIPS = 4
ROUNDS = 3


@dataclass(frozen=True)
class Agreement:
    """An optimized network beside the one it was made of, on the same clips; one line when printed.

    Example:
        >>> import torch
        >>> from interlace.optimization import Agreement
        >>> print(Agreement(torch.bfloat16, False, 4, 0.031, 0.005, 1.0, 298.0, 86.0))
        bfloat16: relative error 0.005, top-1 the same for 100% of 4 clips, 3.5 times as fast
    """

    dtype: torch.dtype
    is_compiled: bool
    num_clips: int
    max_difference: float
    """Largest difference of two logits."""
    relative_error: float
    """Length of the difference over the length of the original's logits, both without their mean."""
    top1: float
    """Share of the clips with the same best class."""
    eager_ms: float
    """Median time of the original for the first clip."""
    optimized_ms: float

    @property
    def speed_up(self) -> float:
        """How many times as fast as the original."""
        return self.eager_ms / self.optimized_ms

    @property
    def limit(self) -> float:
        """The relative error above which it is no question of rounding."""
        return LIMITS[self.dtype]

    @property
    def is_good(self) -> bool:
        """Whether the relative error is a number, and within the limit."""
        return self.relative_error <= self.limit

    def __str__(self) -> str:
        how = str(self.dtype).removeprefix("torch.") + (", compiled" if self.is_compiled else "")
        return (
            f"{how}: relative error {self.relative_error:.1g}, top-1 the same for {self.top1:.0%} of "
            f"{self.num_clips} clips, {self.speed_up:.1f} times as fast"
        )


@torch.no_grad()
def measure_agreement(
    eager: Callable[[Tensor], Tensor],
    optimized: Callable[[Tensor], Tensor],
    clips: Float[Tensor, "B T C H W"],
    dtype: torch.dtype,
    is_compiled: bool,
) -> Agreement:
    """Run both on the clips, and in turn on the first of them for the times."""
    wanted, got = eager(clips).double(), optimized(clips).double()
    difference = got - wanted
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        for network, list_of_times in zip((eager, optimized), times, strict=True):
            start = time.perf_counter()
            network(clips[:1]).cpu()  # waits for a GPU
            list_of_times.append(1000 * (time.perf_counter() - start))
    return Agreement(
        dtype=dtype,
        is_compiled=is_compiled,
        num_clips=len(clips),
        max_difference=difference.abs().max().item(),
        relative_error=(_centered(difference).norm() / _centered(wanted).norm()).item(),
        top1=(got.argmax(1) == wanted.argmax(1)).double().mean().item(),
        eager_ms=statistics.median(times[0][1:]),
        optimized_ms=statistics.median(times[1][1:]),
    )


def noise_clips(model: VideoModel, height: int, width: int) -> Float[Tensor, "B T C H W"]:
    """Stand-ins for clips, the same every time: noise of the mean and deviation of preprocessed frames.

    An ensemble takes pixels in 0..1 and preprocesses them itself.
    """
    shape = (NUM_CLIPS, model.num_segments, model.in_chans, height, width)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return 0.5 + noise / 4 if isinstance(model, Ensemble) else noise


def _centered(logits: Tensor) -> Tensor:
    """Without what the softmax does not see; a single class has nothing else."""
    return logits - logits.mean(1, keepdim=True) if logits.shape[1] > 1 else logits
