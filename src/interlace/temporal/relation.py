"""Temporal relations between frames (Zhou et al., ECCV 2018): a consensus that sees their order."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

NUM_TUPLES = 3
"""Tuples of a scale, as published."""
MOST_RANDOM_SEGMENTS = 16
"""The random draw gives every set of frames a lot, which are 2^T."""


class Relation(nn.Module):
    """h(g(frames of a tuple)): two layers on ordered frames, each of which is rectified first."""

    def __init__(self, num_inputs: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, tuples: Float[Tensor, "B N E"]) -> Float[Tensor, "B N K"]:
        """Features of tuples, one frame after the other, to logits."""
        return self.fc2(F.relu(self.fc1(F.relu(tuples))))


class RelationConsensus(nn.Module):
    """Relations between s frames, for each scale s, added up (equations 1 to 3).

    The largest scale is the whole clip. A smaller one has C(T, s) ordered tuples of frames, of which three are
    taken: always the same ones, spread evenly over all (:func:`spread_tuples`). The released code draws them at
    random, in tests too, so that its results change from run to run; for T = 3 it has no choice, and both agree.
    As released, tuples are added behind the second layer; before it, as in the paper, its bias would count once.

    Args:
        num_features: of a frame (E).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        scales: numbers of frames that are related, each with weights of its own.
        hidden: width between the two layers of a relation.
        random_tuples: draw the tuples in training, from torch's generator; never in evaluation.

    Raises:
        ValueError: fewer than two frames, a scale that does not fit, no features, or too many frames for the random
            draw.

    Example:
        >>> import torch
        >>> from interlace.temporal import RelationConsensus
        >>> consensus = RelationConsensus(16, num_classes=5, num_segments=4, scales=(4, 3, 2))
        >>> consensus(torch.zeros(2, 4, 16)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        num_segments: int,
        scales: tuple[int, ...],
        hidden: int = 256,
        random_tuples: bool = False,
    ) -> None:
        super().__init__()
        if num_features < 1 or hidden < 1:
            raise ValueError(f"{num_features} features of a frame and hidden={hidden} must be at least 1")
        if num_segments < 2:
            raise ValueError(f"num_segments={num_segments}: a relation needs at least 2 frames")
        if not scales or not all(2 <= scale <= num_segments for scale in scales):
            raise ValueError(
                f"scales={scales} must be numbers of frames from 2 to num_segments={num_segments}"
            )
        if random_tuples and num_segments > MOST_RANDOM_SEGMENTS:
            raise ValueError(
                f"random_tuples draws from the 2^{num_segments} sets of frames; num_segments={num_segments} is too "
                f"many, at most {MOST_RANDOM_SEGMENTS} will do. Leave it out: the fixed tuples need no such list"
            )
        self.num_segments = num_segments
        self.scales = scales
        self.random_tuples = random_tuples
        self.relations = nn.ModuleList(
            Relation(scale * num_features, hidden, num_classes) for scale in scales
        )

    def forward(self, features: Float[Tensor, "B T E"]) -> Float[Tensor, "B K"]:
        """Features of frames to logits.

        Raises:
            ValueError: another number of frames than the relations were built for.
        """
        if features.shape[1] != self.num_segments:
            raise ValueError(
                f"{features.shape[1]} frames, but these are relations of num_segments={self.num_segments}: their "
                "weights hold for that number only; train a network for the other one"
            )
        logits = [
            relation(self._tuples(features, scale)).sum(1)
            for scale, relation in zip(self.scales, self.relations, strict=True)
        ]
        return torch.stack(logits).sum(0)

    def _tuples(self, features: Tensor, scale: int) -> Tensor:
        """(B, T, E) to (B, N, scale * E): the frames of N tuples, one after the other."""
        if self.random_tuples and self.training:
            return features[:, draw_tuples(self.num_segments, scale, features.device)].flatten(2)
        # Frame by frame: an index tensor would have to be copied to the device at every call.
        frames = features.unbind(1)
        chosen = spread_tuples(self.num_segments, scale)
        return torch.stack([torch.cat([frames[t] for t in one], 1) for one in chosen], 1)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"num_segments={self.num_segments}, scales={self.scales}, random_tuples={self.random_tuples}"


def spread_tuples(num_segments: int, scale: int) -> list[tuple[int, ...]]:
    """Up to three ordered tuples of frames: the middles of equal parts of the list of all, in their order.

    All tuples where there are no more than three.

    Example:
        >>> from interlace.temporal.relation import spread_tuples
        >>> spread_tuples(3, 2)
        [(0, 1), (0, 2), (1, 2)]
        >>> spread_tuples(8, 2)  # of 28
        [(0, 5), (2, 4), (4, 6)]
    """
    total = math.comb(num_segments, scale)
    number = min(NUM_TUPLES, total)
    return [_nth_tuple(num_segments, scale, (2 * i + 1) * total // (2 * number)) for i in range(number)]


def _nth_tuple(num_segments: int, scale: int, rank: int) -> tuple[int, ...]:
    """What stands at a place of itertools.combinations, without those before it: of 32 frames, 6e8 pairs of 16."""
    chosen: list[int] = []
    for frame in range(num_segments):
        with_frame = (
            math.comb(num_segments - frame - 1, scale - len(chosen) - 1) if len(chosen) < scale else 0
        )
        if rank < with_frame:
            chosen.append(frame)
        else:
            rank -= with_frame
    return tuple(chosen)


def draw_tuples(num_segments: int, scale: int, device: torch.device) -> Int[Tensor, "N S"]:
    """Up to three different tuples of frames, each as likely as any other.

    Every set of frames is a number of T bits. Those with as many bits as the scale draw lots, and the highest win:
    so shapes do not depend on chance, and the draw can be compiled.

    Example:
        >>> import torch
        >>> from interlace.temporal.relation import draw_tuples
        >>> draw_tuples(8, 2, torch.device("cpu")).shape
        torch.Size([3, 2])
    """
    sets = torch.arange(2**num_segments, device=device)
    is_in = (sets[:, None] >> torch.arange(num_segments, device=device)) & 1  # (2^T, T)
    lots = torch.rand(len(sets), device=device).masked_fill(is_in.sum(1) != scale, -1.0)
    number = min(NUM_TUPLES, math.comb(num_segments, scale))
    chosen = is_in[lots.topk(number).indices]
    in_order = chosen.argsort(dim=1, descending=True, stable=True)  # the frames that are in, then the others
    return in_order[:, :scale]
