"""The descriptor of a clip and what the two nets of TemporalInterlace make of it, in one call."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from interlace.ops import _cpu
from interlace.ops._transforms import is_transformed, needs_plain_derivatives
from interlace.ops.pool import add_mean_gradient_

PARAMETERS = ("conv", "fc1", "fc2", "weight_conv")
"""The layers whose weight and bias, in turn, are the parameters."""


def has_fused_nets(x: Tensor, parameters: list[Tensor]) -> bool:
    """Whether :func:`displaced` can stand in for the layers: compiled kernels, float32 parameters."""
    if is_transformed() or needs_plain_derivatives() or not _cpu.supports(x):
        return False
    if not _cpu.nets_fit(x, parameters):
        return False
    return not (torch.compiler.is_compiling() and _wants_gradient(x, parameters))


def displaced(
    x: Tensor, parameters: list[Tensor], offset_range: float, mirrored: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, offsets (B, G) and weights (B, T, G); the arguments are those of :func:`offset_and_weight`.

    The x that comes back is for one of this package's operators and for nothing else, as in
    :func:`interlace.ops.pool.describe`.
    """
    if not _wants_gradient(x, parameters):
        return x, *offset_and_weight(x, parameters, offset_range, mirrored)
    same_x, offset, weight = _Displaced.apply(x, offset_range, mirrored, *parameters)
    return same_x if x.requires_grad else x, offset, weight


def _wants_gradient(x: Tensor, parameters: list[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(a.requires_grad for a in (x, *parameters))


class _Displaced(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, offset_range: float, mirrored: bool, *parameters: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        offset, weight, z = _cpu.nets(x, list(parameters), offset_range, mirrored)
        ctx.settings = offset_range, mirrored
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, z, offset, weight, *parameters)
        return x.view_as(x), offset, weight

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_x: Tensor | None, grad_offset: Tensor | None, grad_weight: Tensor | None
    ) -> tuple[Any, ...]:
        x, z, offset, weight, *parameters = ctx.saved_tensors
        if grad_offset is None and grad_weight is None:
            return grad_x, None, None, *(None for _ in parameters)
        grad_offset = torch.zeros_like(offset) if grad_offset is None else grad_offset
        grad_weight = torch.zeros_like(weight) if grad_weight is None else grad_weight
        grad_z, grads = _cpu.nets_backward(
            grad_offset, grad_weight, x, parameters, z, offset, weight, *ctx.settings
        )
        if not ctx.needs_input_grad[0]:
            return None, None, None, *grads
        grad_x = torch.zeros_like(x) if grad_x is None else grad_x
        add_mean_gradient_(grad_x, grad_z)
        return grad_x, None, None, *grads


@torch.library.custom_op(
    "interlace::offset_and_weight",
    mutates_args=(),
    schema="(Tensor x, Tensor[] parameters, float offset_range, bool mirrored) -> (Tensor, Tensor)",
)
def offset_and_weight(
    x: Tensor, parameters: list[Tensor], offset_range: float, mirrored: bool
) -> tuple[Tensor, Tensor]:
    """Offsets (B, G) and weights (B, T, G) from the first channels of x (B, T, C, H, W): TIN, equations 1 to 3.

    Args:
        x: clips in float32 or half precision.
        parameters: weight and bias of each of the layers PARAMETERS, float32.
        offset_range: largest offset, in frames either way.
        mirrored: add as many groups with the opposite offsets and the same weights.
    """
    if _cpu.supports(x) and _cpu.nets_fit(x, parameters):
        return _cpu.nets(x, parameters, offset_range, mirrored)[:2]
    conv, conv_bias, fc1, fc1_bias, fc2, fc2_bias, weight_conv, weight_conv_bias = parameters
    z = x[:, :, : conv.shape[1]].mean((-2, -1), dtype=conv.dtype).mT
    s = F.conv1d(z, conv, conv_bias, padding=1).squeeze(1)
    raw = F.linear(F.relu(F.linear(s, fc1, fc1_bias)), fc2, fc2_bias)
    offset = 2 * offset_range * (torch.sigmoid(raw) - 0.5)
    weight = 2 * torch.sigmoid(F.conv1d(z, weight_conv, weight_conv_bias, padding=1)).mT
    if mirrored:
        offset, weight = torch.cat([offset, -offset], 1), torch.cat([weight, weight], 2)
    return offset, weight.contiguous()


@offset_and_weight.register_fake
def _(
    x: Tensor,
    parameters: list[Tensor],
    offset_range: float,  # noqa: ARG001 - the signature is torch's
    mirrored: bool,
) -> tuple[Tensor, Tensor]:
    groups = parameters[5].shape[0] * (2 if mirrored else 1)
    new = parameters[0].new_empty
    return new((x.shape[0], groups)), new((x.shape[0], x.shape[1], groups))
