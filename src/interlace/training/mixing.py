"""Mixup and cutmix between the clips of a batch."""

from __future__ import annotations

import random

import torch
from jaxtyping import Float
from torch import Tensor


def mix_clips(
    clip: Float[Tensor, "B T C H W"],
    target: Float[Tensor, "B K"],
    rng: random.Random,
    *,
    mixup: float,
    cutmix: float,
) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B K"]]:
    """Mix every clip with another of the batch, and their targets in the same proportion.

    With both switched on, each batch gets one of them by chance. Source: mixup (arXiv 1710.09412), cutmix
    (arXiv 1905.04899).

    Args:
        clip: normalised clips.
        target: one row of class probabilities a clip.
        rng: where the random choices come from.
        mixup: parameter of the Beta distribution of the proportion; 0 is off.
        cutmix: the same for the area of a box, which is at the same place on all frames; 0 is off.

    Example:
        >>> import random, torch
        >>> from interlace.training.mixing import mix_clips
        >>> clip, target = torch.randn(2, 4, 3, 5, 7), torch.eye(2)
        >>> mixed, soft = mix_clips(clip, target, random.Random(0), mixup=0.2, cutmix=0.0)
        >>> mixed.shape, soft.sum(1)
        (torch.Size([2, 4, 3, 5, 7]), tensor([1., 1.]))
    """
    modes = [mode for mode, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha > 0]
    if not modes:
        return clip, target
    others = torch.tensor(rng.sample(range(len(clip)), len(clip)))
    others = others.to(clip.device, non_blocking=True)  # a list as an index would wait for the GPU
    if rng.choice(modes) == "mixup":
        keep = rng.betavariate(mixup, mixup)
        clip = keep * clip + (1 - keep) * clip[others]
    else:
        top, bottom, left, right = random_box(
            (clip.shape[-2], clip.shape[-1]), 1 - rng.betavariate(cutmix, cutmix), rng
        )
        source = clip[others]
        clip = clip.clone()
        clip[..., top:bottom, left:right] = source[..., top:bottom, left:right]
        keep = 1 - (bottom - top) * (right - left) / (clip.shape[-2] * clip.shape[-1])
    return clip, keep * target + (1 - keep) * target[others]


def random_box(size: tuple[int, int], area: float, rng: random.Random) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a box with a part of a picture's area and its shape, cut off at the edges.

    Example:
        >>> import random
        >>> from interlace.training.mixing import random_box
        >>> random_box((10, 20), 1.0, random.Random(0))
        (3, 10, 5, 20)
    """
    spans = []
    for length in size:
        side, centre = length * area**0.5, rng.uniform(0, length)
        spans += [max(0, round(centre - side / 2)), min(length, round(centre + side / 2))]
    return spans[0], spans[1], spans[2], spans[3]
