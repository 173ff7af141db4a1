"""A convolution of interlaced frames, so that the interlaced frames need not exist.

On the CPU a 1x1 convolution interlaces its operand while it packs it for the matrix product: in float32, and
where the processor multiplies bfloat16, in that with channels-last frames. Elsewhere the frames are interlaced and
then convolved, but not kept for the gradient: they are made again from x, which the network holds anyway.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.ops import _choice, _cpu, _dispatch, _transforms
from interlace.ops.interlace import checked, interlace, interlace_backward, interlace_backward_


def interlaced_conv2d(
    x: Float[Tensor, "B T C H W"],
    offset: Float[Tensor, "B G"],
    weight: Float[Tensor, "B T G"] | None,
    kernel: Float[Tensor, "K I kH kW"],
    bias: Float[Tensor, "K"] | None = None,
    *,
    fold: int | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    relu: bool = False,
) -> Float[Tensor, "B T K h w"]:
    """``conv2d(interlace(x, offset, weight, fold), kernel, bias)``, and ReLU if asked for.

    Args:
        x: clips of the dtype of kernel.
        offset: displacement of each group, in frames, as in :func:`interlace.ops.interlace`.
        weight: factor of each target frame and group; None means 1.
        kernel: weights of the convolution, I = C // groups.
        bias: its bias; batch norm can be folded into both.
        fold: number of channels that move; None means all.
        stride: of the convolution, as the next three.
        padding: zeros on each side.
        dilation: distance of the kernel's taps.
        groups: of the convolution; they have nothing to do with the groups of offset.
        relu: set negative outputs to zero.

    Raises:
        ValueError: the shapes do not fit each other.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020, figure 2: interlace, then convolve.

    Example:
        >>> import torch
        >>> from interlace.ops import interlaced_conv2d
        >>> x, kernel = torch.ones(2, 4, 8, 5, 7), torch.ones(3, 8, 1, 1)
        >>> interlaced_conv2d(x, torch.tensor([[0.5, -0.5]] * 2), None, kernel)[0, :, 0, 0, 0]
        tensor([6., 8., 8., 6.])
    """
    # The rule of every convolution; meta has no autocast.
    if x.dtype != torch.float64 and not x.is_meta and torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, kernel, bias = x.to(dtype), kernel.to(dtype), None if bias is None else bias.to(dtype)
    weight, fold = checked(x, offset, weight, fold)
    if kernel.ndim != 4 or kernel.shape[1] * groups != x.shape[2]:
        raise ValueError(
            f"kernel must be (K, {x.shape[2] // groups}, kH, kW) for x with C={x.shape[2]} and groups={groups}, "
            f"got {tuple(kernel.shape)}"
        )
    if bias is not None and bias.shape != kernel.shape[:1]:
        raise ValueError(f"bias must be (K,)={tuple(kernel.shape[:1])}, got {tuple(bias.shape)}")
    if kernel.dtype != x.dtype or (bias is not None and bias.dtype != x.dtype):
        raise ValueError(
            f"x is {x.dtype}, kernel {kernel.dtype}" + ("" if bias is None else f", bias {bias.dtype}")
        )
    if _transforms.is_transformed() or _transforms.needs_plain_derivatives():
        moved = clip_to_frames(interlace(x, offset, weight, fold))
        out = F.conv2d(moved, kernel, bias, stride, padding, dilation, groups)
        return frames_to_clip(out.relu() if relu else out, x.shape[1])
    geometry = [*stride, *padding, *dilation, groups]
    return _interlaced_conv2d(x, offset, weight, fold, kernel, bias, geometry, relu)


@torch.library.custom_op(
    "interlace::conv2d",
    mutates_args=(),
    schema="(Tensor x, Tensor offset, Tensor weight, int fold, Tensor kernel, Tensor? bias, int[] geometry, bool relu)"
    " -> Tensor",
)
def _interlaced_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    kernel: Tensor,
    bias: Tensor | None,
    geometry: list[int],
    relu: bool,
) -> Tensor:
    form = _fused_form(x, fold, kernel, geometry)
    if form == "contiguous":
        return _cpu.conv1x1(x, offset, weight, fold, kernel.flatten(1), bias, relu=relu)
    if form == "channels_last":
        limits = (0.0 if relu else -math.inf, math.inf)
        return _cpu.conv_rows(x, offset, weight, fold, _cpu.pack(kernel.flatten(1)), bias, limits)

    def composed() -> Tensor:
        moved = clip_to_frames(_dispatch.forward(x, offset, weight, fold))
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            out = F.conv2d(moved, kernel, bias, *_conv_arguments(geometry))
        return frames_to_clip(out.relu_() if relu else out, x.shape[1])

    def fused() -> Tensor:
        return _dispatch.triton_conv1x1(x, offset, weight, fold, kernel.flatten(1), bias, relu=relu)

    if is_pointwise(kernel, geometry) and _dispatch.has_triton_conv1x1(x):
        key = (
            x.device,
            x.dtype,
            x.shape,
            x.stride(),
            kernel.shape,
            fold,
            offset.shape[1],
            bias is None,
            relu,
        )
        with torch.cuda.device(x.device):
            return _choice.faster(key, (fused, composed))
    return composed()


def _fused_form(
    x: Tensor, fold: int, kernel: Tensor, geometry: list[int]
) -> Literal["contiguous", "channels_last", "none"]:
    """For which memory format there is a kernel that takes this."""
    if not is_pointwise(kernel, geometry):
        return "none"
    if _cpu.has_conv1x1(x):
        return "contiguous"
    return "channels_last" if _cpu.has_conv_rows(x, fold, kernel.shape[0]) else "none"


def is_pointwise(kernel: Tensor, geometry: list[int]) -> bool:
    """Whether it is the plain 1x1 convolution; geometry as in the operator."""
    return kernel.shape[2:] == (1, 1) and geometry == [1, 1, 0, 0, 1, 1, 1]


def _conv_arguments(geometry: list[int]) -> tuple[list[int], list[int], list[int], int]:
    """Stride, padding, dilation and groups."""
    return geometry[0:2], geometry[2:4], geometry[4:6], geometry[6]


# ruff: noqa: ARG001 - the signatures below are torch's
@_interlaced_conv2d.register_fake
def _(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    kernel: Tensor,
    bias: Tensor | None,
    geometry: list[int],
    relu: bool,
) -> Tensor:
    form = _fused_form(x, fold, kernel, geometry)
    B, T, _, H, W = x.shape
    if form == "contiguous":
        return x.new_empty((B, T, kernel.shape[0], H, W))
    if form == "channels_last":
        return x.new_empty((B, T, H, W, kernel.shape[0])).permute(0, 1, 4, 2, 3)
    return frames_to_clip(
        F.conv2d(clip_to_frames(torch.empty_like(x)), kernel, bias, *_conv_arguments(geometry)), T
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, offset, weight, ctx.fold, kernel, bias, ctx.geometry, relu = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, offset, weight, kernel, *([output] if relu else []))


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, offset, weight, kernel, *out = ctx.saved_tensors
    grad = grad.masked_fill(out[0] == 0, 0) if out else grad
    with_moved, with_kernel = any(ctx.needs_input_grad[0:3]), ctx.needs_input_grad[4]
    # The interlaced frames are needed for the gradient of the kernel only.
    moved = torch.ops.interlace.interlace(x, offset, weight, ctx.fold) if with_kernel else x
    stride, padding, dilation, groups = _conv_arguments(ctx.geometry)
    grad_moved, grad_kernel, grad_bias = torch.ops.aten.convolution_backward(
        *(clip_to_frames(grad), clip_to_frames(moved), kernel),
        bias_sizes=[kernel.shape[0]] if ctx.has_bias else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        transposed=False,
        output_padding=[0, 0],
        groups=groups,
        output_mask=[with_moved, with_kernel, ctx.has_bias],
    )
    del moved
    if not with_moved:
        return None, None, None, None, grad_kernel, grad_bias if ctx.has_bias else None, None, None
    grad_x = frames_to_clip(grad_moved, x.shape[1])  # no one else has it, so it may be turned into that of x
    with_factors = any(ctx.needs_input_grad[1:3])
    factors: tuple[Tensor | None, ...]
    if torch.is_grad_enabled():  # for a second derivative, which says that there is none
        grad_x, *gradients = interlace_backward(grad_x, x, offset, weight, ctx.fold, with_factors)
        factors = tuple(gradients)
    else:
        factors = interlace_backward_(grad_x, x, offset, weight, ctx.fold, with_factors)
    factors = factors if with_factors else (None, None)
    return grad_x, *factors, None, grad_kernel, grad_bias if ctx.has_bias else None, None, None


_interlaced_conv2d.register_autograd(_backward, setup_context=_setup_context)
