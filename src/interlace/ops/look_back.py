"""Look back: mix each frame of a group with earlier ones, by an offset of its own (TIN's equation 4, causal).

With k = floor(offset[t]) and phi = offset[t] - k,

    out[t] = weight[t] * ((1 - phi) * x[t - k] + phi * x[t - k - 1]),

the formula of :mod:`interlace.ops.interlace` with an offset for every target frame. What was before the clip is
given, so that a stream can come in pieces. Plain torch: it runs on every device and exports as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def look_back(
    x: Float[Tensor, "B T F H W"],
    past: Sequence[Float[Tensor, "B F H W"]],
    offset: Float[Tensor, "B T G"],
    weight: Float[Tensor, "B T G"],
) -> Float[Tensor, "B T F H W"]:
    """Delay each group of consecutive channels by its own offset, frame by frame, and scale it.

    Args:
        x: clips of any float dtype; half precision is interpolated in float32.
        past: the frames before the clip, the latest first: ``past[0]`` is the frame at time -1.
        offset: of each target frame and group, in frames, from 0 to ``len(past)``.
        weight: factor of each target frame and group.

    Raises:
        ValueError: the channels do not divide into the groups.

    The gradient with respect to an integer offset is the right derivative, as in :func:`interlace.ops.interlace`.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020, equation 4; the causal form is ours.

    Example:
        >>> import torch
        >>> from interlace.ops import look_back
        >>> x = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1, 1)
        >>> before, half = [torch.zeros(1, 1, 1, 1)], torch.full((1, 3, 1), 0.5)
        >>> look_back(x, before, half, torch.ones(1, 3, 1)).flatten()
        tensor([0.5000, 1.5000, 3.0000])
    """
    fold, groups = x.shape[2], offset.shape[2]
    if fold % groups:
        raise ValueError(f"the {fold} channels do not divide into {groups} groups with an offset each")
    taps = _taps(offset, weight, len(past))[..., None, None, None]  # (R + 1, B, T, G, 1, 1, 1)
    out = x.unflatten(2, (groups, -1)) * taps[0]
    for frames_ago in range(1, len(past) + 1):
        earlier = delayed(x, past, frames_ago).unflatten(2, (groups, -1))
        out = torch.addcmul(out, earlier.to(out.dtype), taps[frames_ago])
    return out.flatten(2, 3).to(x.dtype)


def _taps(
    offset: Float[Tensor, "B T G"], weight: Float[Tensor, "B T G"], reach: int
) -> Float[Tensor, "taps B T G"]:
    """What each earlier frame contributes: 1 - phi the one k frames ago, phi the one before it."""
    k = offset.detach().floor()
    phi = offset - k
    near, far = weight * (1 - phi), weight * phi
    nothing = 0 * near  # a NaN stays visible
    return torch.stack(
        [torch.where(k == ago, near, torch.where(k == ago - 1, far, nothing)) for ago in range(reach + 1)]
    )


def delayed(
    x: Float[Tensor, "B T F H W"], past: Sequence[Float[Tensor, "B F H W"]], frames_ago: int
) -> Float[Tensor, "B T F H W"]:
    """The clip as it was so many frames ago, at least 1: what leaves at its end comes in from the past.

    Example:
        >>> import torch
        >>> from interlace.ops.look_back import delayed
        >>> x = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1, 1)
        >>> delayed(x, [torch.full((1, 1, 1, 1), 7.0)], 1).flatten()
        tensor([7., 1., 2.])
    """
    num_frames = x.shape[1]
    before = [past[frames_ago - 1 - t] for t in range(min(frames_ago, num_frames))]
    before_clip = torch.stack(before, 1) if len(before) > 1 else before[0].unsqueeze(1)
    if num_frames <= frames_ago:
        return before_clip
    return torch.cat([before_clip, x[:, : num_frames - frames_ago]], 1)


def latest(
    x: Float[Tensor, "B T F H W"], past: Sequence[Float[Tensor, "B F H W"]]
) -> tuple[Float[Tensor, "B F H W"], ...]:
    """The past of the frame after the clip, as long as before; copies, as the clip itself is soon written over.

    Example:
        >>> import torch
        >>> from interlace.ops.look_back import latest
        >>> x, past = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1, 1), [torch.zeros(1, 1, 1, 1)] * 3
        >>> [frame.item() for frame in latest(x, past)]
        [2.0, 1.0, 0.0]
    """
    num_frames = x.shape[1]
    return tuple(
        x[:, num_frames - 1 - ago].clone() if ago < num_frames else past[ago - num_frames]
        for ago in range(len(past))
    )
