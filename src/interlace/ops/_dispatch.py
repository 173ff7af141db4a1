"""Which implementation runs: compiled kernels on the CPU, Triton on CUDA, plain torch everywhere else.

All have the same two functions. The plain ones are the reference: by slices where reading the offsets on the host
is free, by index elsewhere, where it would be a synchronisation.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from interlace.ops import _cpu, _index, _slices


def forward(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """out[t] = weight[t] * ((1 - phi) * x[t - k] + phi * x[t - k - 1]) for c < fold; the rest of x unchanged."""
    if _cpu.supports(x):
        return _cpu.forward(x, offset, weight, fold)
    if (kernels := triton_kernels(x)) is not None:
        return kernels.forward(x, offset, weight, fold)
    return _plain_forward(x, offset, weight, fold)


def backward(
    grad: Tensor,
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    *,
    with_factors: bool,
    in_place: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of x, offset and weight; the last two only with_factors. In place, the first may overwrite grad."""
    if _cpu.supports(x):
        return _cpu.backward(grad, x, offset, weight, fold, with_factors=with_factors, in_place=in_place)
    if (kernels := triton_kernels(x)) is not None:
        return kernels.backward(grad, x, offset, weight, fold)
    return _plain_backward(grad, x, offset, weight, fold)


def has_kernels(x: Tensor) -> bool:
    """Whether x runs in kernels made for the operators, and not in plain torch.

    Example:
        >>> import torch
        >>> from interlace.ops import has_kernels
        >>> has_kernels(torch.zeros(1, dtype=torch.float64))
        False
    """
    return _cpu.supports(x) or triton_kernels(x) is not None


def triton_kernels(x: Tensor) -> ModuleType | None:
    """The Triton kernels, for CUDA tensors where Triton is installed."""
    return _triton() if x.is_cuda and x.dtype != torch.float64 else None


@cache
def _triton() -> ModuleType | None:
    if importlib.util.find_spec("triton") is None or os.environ.get("INTERLACE_PLAIN") == "1":
        return None
    from interlace.ops import _triton as kernels  # imports Triton, which takes its time

    return kernels


def has_triton_conv1x1(x: Tensor) -> bool:
    """Whether the fused convolution may pay: in half precision, which has the tensor cores."""
    return x.dtype in (torch.float16, torch.bfloat16) and triton_kernels(x) is not None


def triton_conv1x1(
    x: Tensor, offset: Tensor, weight: Tensor, fold: int, kernel: Tensor, bias: Tensor | None, *, relu: bool
) -> Tensor:
    """The convolution (K, C) of the interlaced frames, with bias and ReLU, in one kernel."""
    from interlace.ops._triton_conv import interlaced_conv1x1  # imports Triton, which takes its time

    return interlaced_conv1x1(x, offset, weight, fold, kernel, None, bias, relu)


def _plain_forward(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    k, _, near, far = taps(offset, weight, x.dtype)
    moved = (_slices if x.is_cpu else _index).forward(x[:, :, :fold], k, near, far)
    return moved if fold == x.shape[2] else torch.empty_like(x).copy_(torch.cat([moved, x[:, :, fold:]], 2))


def _plain_backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int
) -> tuple[Tensor, Tensor, Tensor]:
    k, phi, near, far = taps(offset, weight, x.dtype)
    plain = _slices if x.is_cpu else _index
    grad_x, dot_near, dot_far = plain.backward(grad[:, :, :fold], x[:, :, :fold], k, near, far)
    if fold < x.shape[2]:
        grad_x = torch.empty_like(x).copy_(torch.cat([grad_x, grad[:, :, fold:]], 2))
    # At an integer the first is the right derivative.
    grad_offset = (weight * (dot_far - dot_near)).sum(1)
    grad_weight = (1 - phi)[:, None] * dot_near + phi[:, None] * dot_far
    return grad_x, grad_offset.to(offset.dtype), grad_weight.to(weight.dtype)


def taps(offset: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Integers k (B, G), phi (B, G), and the factors (B, T, G) of the frames t - k and t - k - 1."""
    work_dtype = torch.promote_types(dtype, torch.float32)
    offset, weight = offset.to(work_dtype), weight.to(work_dtype)
    # From T frames on nothing of the clip is left, so k may stop there, and phi with it; NaN stays visible through phi.
    T = weight.shape[1]
    k = offset.floor().nan_to_num(0.0).clamp(-T - 1, T)
    phi = torch.where(offset.abs() > T + 1, 0.0, offset - k)
    return k.long(), phi, weight * (1 - phi)[:, None], weight * phi[:, None]
