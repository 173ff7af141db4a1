"""Temporal shift: a part of the channels shows the next frame, a part the previous one (TSM, section 3)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.ops._dispatch import has_kernels
from interlace.ops._transforms import needs_plain_derivatives
from interlace.ops.interlace import interlace


def temporal_shift(
    x: Float[Tensor, "B T C H W"],
    fold_div: int = 8,
    mode: Literal["bidirectional", "causal"] = "bidirectional",
) -> Float[Tensor, "B T C H W"]:
    """Shift the first folds of C // fold_div channels by one frame; frames outside the clip are zero.

    Args:
        x: clips of any float dtype; the memory format is kept.
        fold_div: one fold is C // fold_div channels.
        mode: bidirectional: the first fold shows the future frame t + 1, the second the past frame t - 1;
            causal: the first fold shows the past, nothing the future (the published online network).

    Raises:
        ValueError: x is not (B, T, C, H, W), a fold has no channels, or the mode is unknown.

    Source: Lin et al., TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019.

    Example:
        >>> import torch
        >>> from interlace.ops import temporal_shift
        >>> clip = torch.arange(4.0).reshape(1, 4, 1, 1, 1).expand(1, 4, 8, 1, 1)
        >>> temporal_shift(clip)[0, :, :3, 0, 0].T
        tensor([[1., 2., 3., 0.],
                [0., 0., 1., 2.],
                [0., 1., 2., 3.]])
    """
    if x.ndim != 5:
        raise ValueError(f"x must be (B, T, C, H, W), got {tuple(x.shape)}")
    folds = {"bidirectional": 2, "causal": 1}.get(mode)
    if folds is None:
        raise ValueError(f"mode {mode!r} is unknown; it is 'bidirectional' or 'causal'")
    C = x.shape[2]
    if not folds <= fold_div <= C:
        raise ValueError(f"fold_div={fold_div} must lie between {folds} and the number of channels, {C}")
    fold = C // fold_div
    if has_kernels(x) and not (torch.compiler.is_compiling() or needs_plain_derivatives()):
        return interlace(x, whole_frames(mode, x), None, folds * fold)
    out = torch.zeros_like(x)
    if mode == "bidirectional":
        out[:, :-1, :fold] = x[:, 1:, :fold]  # the future
        out[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold]  # the past
    else:
        out[:, 1:, :fold] = x[:, :-1, :fold]
    out[:, :, folds * fold :] = x[:, :, folds * fold :]
    return out


def whole_frames(
    mode: Literal["bidirectional", "causal"], x: Float[Tensor, "B T C H W"]
) -> Float[Tensor, "B G"]:
    """A shift is an interlacing by whole frames: the first fold shows the future, the second the past.

    Example:
        >>> import torch
        >>> from interlace.ops.shift import whole_frames
        >>> whole_frames("bidirectional", torch.zeros(1, 4, 8, 5, 7))
        tensor([[-1.,  1.]])
    """
    first, folds = (-1, 2) if mode == "bidirectional" else (1, 1)
    return torch.linspace(first, 1, folds, device=x.device).expand(x.shape[0], -1)
