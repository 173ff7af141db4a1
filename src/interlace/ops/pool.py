"""The descriptor of a clip: the mean of each moved channel in each frame (TIN, equation 1)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.ops._transforms import is_transformed, needs_plain_derivatives


def describe(
    x: Float[Tensor, "B T C H W"], fold: int, dtype: torch.dtype = torch.float32
) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B T F"]]:
    """Return x, and the mean over the pixels of its first `fold` channels in the given dtype.

    The x that comes back is for one of this package's operators and for nothing else: the gradient of the mean,
    the same for all pixels, is added into the gradient that the operator made for x. Apart, it would cost a full
    tensor of zeros and another pass over everything.

    Example:
        >>> import torch
        >>> from interlace.ops.pool import describe
        >>> x, z = describe(torch.ones(2, 4, 8, 5, 7), fold=2)
        >>> z.shape
        torch.Size([2, 4, 2])
    """
    plain = torch.compiler.is_compiling() or is_transformed() or needs_plain_derivatives()
    if plain or not (x.requires_grad and torch.is_grad_enabled()):
        return x, _mean(x, fold, dtype)
    return _Describe.apply(x, fold, dtype)


def _mean(x: Tensor, fold: int, dtype: torch.dtype) -> Tensor:
    return x[:, :, :fold].mean((-2, -1), dtype=dtype)


class _Describe(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor, fold: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return x.view_as(x), _mean(x, fold, dtype)

    @staticmethod
    def backward(_ctx: Any, grad_x: Tensor, grad_z: Tensor) -> tuple[Tensor, None, None]:
        add_mean_gradient_(grad_x, grad_z)
        return grad_x, None, None


def add_mean_gradient_(grad_x: Tensor, grad_z: Tensor) -> None:
    """Add to the gradient of x what comes through the mean of its first channels, whose gradient is (B, T, F).

    In place: the operators make grad_x anew in their backward, and no one else has it.
    """
    H, W = grad_x.shape[-2:]
    grad_x[:, :, : grad_z.shape[2]] += (grad_z / (H * W))[..., None, None].to(grad_x.dtype)
