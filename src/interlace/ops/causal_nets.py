"""What the two nets of CausalInterlace make of one frame, in one call: for streams on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.ops import _cpu

PARAMETERS = ("offset_net.conv", "offset_net.last", "weight_net.conv")
"""The layers whose weight and bias, in turn, are the parameters."""


def has_causal_nets(
    u: Float[Tensor, "B 1 F H W"], before: Float[Tensor, "B window_1 F"], parameters: Sequence[Tensor]
) -> bool:
    """Whether :func:`causal_nets` can stand in for the layers: compiled kernels, parameters in float32 that fit."""
    if len(parameters) != 2 * len(PARAMETERS) or not _cpu.supports(u):
        return False
    if not all(a.is_cpu and a.dtype == torch.float32 for a in (before, *parameters)):
        return False
    (hidden, F, window), G = parameters[0].shape, parameters[2].shape[0]
    wanted = [(hidden, F, window), (hidden,), (G, hidden, 1), (G,), (G, F, window), (G,)]
    fits = all(a.shape == shape for a, shape in zip(parameters, wanted, strict=True))
    return fits and u.shape[1:3] == (1, F) and before.shape == (u.shape[0], window - 1, F)


def causal_nets(
    clip: Float[Tensor, "B 1 C H W"],
    before: Float[Tensor, "B window_1 F"],
    parameters: Sequence[Tensor],
    offset_range: float,
) -> tuple[Float[Tensor, "B G"], Float[Tensor, "B 1 G"], Float[Tensor, "B window_1 F"]]:
    """Offsets, weights, and the descriptors that the next frame needs; no gradient flows through this.

    Args:
        clip: one frame of each stream, of which the first F channels are described; float32 or half precision.
        before: the descriptors of the frames before, the oldest first.
        parameters: weight and bias of each of the layers PARAMETERS, that :func:`has_causal_nets`.
        offset_range: largest offset, in frames back.
    """
    return _cpu.causal_nets(clip, before, list(parameters), offset_range)
