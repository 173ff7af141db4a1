"""The convolution of one frame of a stream, of which some channels are read from earlier frames.

For inference on the CPU: a 1x1 convolution reads them where they are remembered; for others they are put into the
frame, and what was there is put back afterwards. Neither copies the channels that do not move.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.layout import clip_to_frames
from interlace.ops import _cpu


class LookBack(NamedTuple):
    """A frame of a stream, and from when each group of its first channels is to be."""

    clip: Float[Tensor, "B 1 C H W"]
    past: tuple[Float[Tensor, "B F h w"], ...]
    """The first channels of the frames before, the latest first."""
    offset: Float[Tensor, "B G"]
    """In frames back."""
    weight: Float[Tensor, "B 1 G"]
    fold: int


def can_look_back(frames: Float[Tensor, "B C H W"]) -> bool:
    """Whether there is a kernel that reads the past for these frames; no gradient and no tracer looks through it."""
    return (
        _cpu.supports(frames)
        and type(frames) is Tensor  # a fake one has no memory to read
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


def can_look_back_conv1x1(seen: LookBack) -> bool:
    """Whether :func:`look_back_conv1x1` takes it."""
    return _cpu.has_conv1x1(seen.clip)


def look_back_conv1x1(
    seen: LookBack, kernel: Float[Tensor, "K C"], bias: Float[Tensor, "K"] | None
) -> Float[Tensor, "B K H W"]:
    """The 1x1 convolution of contiguous frames in float32."""
    clip, past, offset, weight, fold = seen
    return clip_to_frames(_cpu.conv1x1(clip, offset, weight, fold, kernel, bias, relu=False, past=past))


def look_back_packed_conv1x1(
    seen: LookBack,
    packed: Float[Tensor, "K C"],
    bias: Float[Tensor, "K"] | None,
    lowest: float | None,
    highest: float | None,
) -> Float[Tensor, "B K H W"]:
    """That of channels-last frames: see :func:`interlace.ops.packed_conv.packed_conv1x1`."""
    clip, past, offset, weight, fold = seen
    limits = (-math.inf if lowest is None else lowest, math.inf if highest is None else highest)
    return clip_to_frames(_cpu.conv_rows(clip, offset, weight, fold, packed, bias, limits, past))


def look_back_within(
    seen: LookBack, convolve: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B K h w"]]
) -> Float[Tensor, "B K h w"]:
    """Any convolution: the past is put into the frame, and afterwards what was there."""
    clip, past, offset, weight, fold = seen
    kept = _cpu.in_place(clip, offset, weight, fold, past)
    if kept is None:  # laid out so that it cannot be written to
        clip = clip.contiguous()
        kept = _cpu.in_place(clip, offset, weight, fold, past)
        assert kept is not None
    out = convolve(clip_to_frames(clip))
    clip[:, :, :fold] = kept
    return out
