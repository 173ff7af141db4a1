"""Interlace, 1x1 convolution, batch norm and ReLU in one pass on the GPU, for inference.

The interlaced clip exists only in the operand of the matrix product: two frames are read and mixed where an
ordinary product would read one.
"""

from __future__ import annotations

import math
from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from interlace.ops._triton import (
    INTERPRETED,
    OPTIONS,
    delay_of,
    frame_of,
    inside,
    mix,
    pixel_stride,
    weight_of,
    with_pixel_stride,
)


def _configs() -> list[triton.Config]:
    if INTERPRETED:
        return [triton.Config({"TILE_P": 16, "TILE_K": 16, "TILE_C": 16})]
    return [
        triton.Config({"TILE_P": p, "TILE_K": k, "TILE_C": c}, num_warps=warps, num_stages=stages)
        for p, k, c, warps, stages in (
            (32, 32, 16, 4, 3),
            (32, 64, 16, 4, 3),
            (64, 64, 16, 4, 3),
            (32, 32, 32, 4, 3),
            (64, 32, 64, 4, 4),
            (64, 64, 32, 4, 4),
            (64, 64, 64, 4, 3),
            (64, 128, 64, 4, 3),
            (128, 64, 32, 4, 4),
            (128, 64, 64, 8, 3),
            (128, 128, 64, 8, 3),
        )
    ]


def _fitting(configs: list[triton.Config], arguments: dict[str, Any], **_: Any) -> list[triton.Config]:
    """Exact float32 has no tensor cores: its products are written out one by one, in small tiles only."""
    exact = arguments["x"].dtype == torch.float32
    return [c for c in configs if (c.kwargs["TILE_C"] == 16) == exact]


@triton.autotune(
    _configs(),
    key=["P", "C", "K", "T", "batch_class", "x_p"],
    prune_configs_by={"early_config_prune": _fitting},
    cache_results=True,
)
@triton.jit(do_not_specialize=["batch_class"])
@no_type_check
def _conv_kernel(
    x, offset, weight, matrix, scale, bias, out, T, C, P, K, size, fold, batch_class,  # noqa: ARG001
    x_b, x_t, x_c, x_p, out_b, out_t, out_c, out_p, offset_b, offset_g, weight_b, weight_t, weight_g,
    matrix_k, matrix_c, RUN: tl.constexpr, RELU: tl.constexpr, OPERAND: tl.constexpr,
    TILE_P: tl.constexpr, TILE_K: tl.constexpr, TILE_C: tl.constexpr,
):  # fmt: skip
    # A program makes TILE_K channels of TILE_P pixels of one frame; those that read the same pixels run side by
    # side, so all but the first find them in the L2 cache.
    parts = (K + TILE_K - 1) // TILE_K
    kernel = tl.program_id(0) % parts * TILE_K + tl.arange(0, TILE_K)
    p = tl.program_id(0) // parts * TILE_P + tl.arange(0, TILE_P)
    t = tl.full((TILE_C,), tl.program_id(1), tl.int32)
    b = tl.program_id(2).to(tl.int64)
    x += b * x_b
    x_pixels = (p * x_p)[:, None]
    columns = matrix + (kernel * matrix_k)[None, :]
    total = tl.full((TILE_P, TILE_K), 0.0, tl.float32)
    for first in range(0, fold, TILE_C):
        c = first + tl.arange(0, TILE_C)
        moved = tl.max_constancy(c < fold, RUN)
        mask = (p < P)[:, None] & tl.max_constancy(c < C, RUN)[None, :]
        k, phi = delay_of(offset + b * offset_b, offset_g, c, size, T, moved, RUN, tl.float32)
        weights = weight + b * weight_b + c // size * weight_g
        place = (c * x_c)[None, :] + x_pixels
        near = frame_of(x, x_t, t - k, T, place, c < C, mask)
        far = frame_of(x, x_t, t - k - 1, T, place, moved, mask)
        w = weight_of(weights, weight_t, t, T, moved, tl.float32)
        rows = mix(near, w * (1 - phi), inside(t - k, T), far, w * phi, inside(t - k - 1, T), moved)
        rows = rows.to(x.dtype.element_ty)
        part = tl.load(
            columns + (c * matrix_c)[:, None], mask=(c < C)[:, None] & (kernel < K)[None, :], other=0.0
        )
        total = tl.dot(rows.to(OPERAND), part.to(OPERAND), total, input_precision="ieee")
    # From here on the channels are as they are, and the loop is that of any matrix product.
    for first in range((fold + TILE_C - 1) // TILE_C * TILE_C, C, TILE_C):
        c = first + tl.arange(0, TILE_C)
        mask = (p < P)[:, None] & (c < C)[None, :]
        rows = frame_of(x, x_t, t, T, (c * x_c)[None, :] + x_pixels, c < C, mask)
        part = tl.load(
            columns + (c * matrix_c)[:, None], mask=(c < C)[:, None] & (kernel < K)[None, :], other=0.0
        )
        total = tl.dot(rows.to(OPERAND), part.to(OPERAND), total, input_precision="ieee")
    if scale is not None:
        total *= tl.load(scale + kernel, mask=kernel < K, other=0.0).to(tl.float32)[None, :]
    if bias is not None:
        total += tl.load(bias + kernel, mask=kernel < K, other=0.0).to(tl.float32)[None, :]
    if RELU:
        total = tl.where(total < 0, 0.0, total)  # NaN stays visible
    place = (
        b * out_b + tl.program_id(1).to(tl.int64) * out_t + (kernel * out_c)[None, :] + (p * out_p)[:, None]
    )
    tl.store(out + place, total.to(out.dtype.element_ty), mask=(p < P)[:, None] & (kernel < K)[None, :])


def interlaced_conv1x1(
    x: Float[Tensor, "B T C H W"],
    offset: Float[Tensor, "B G"],
    weight: Float[Tensor, "B T G"],
    fold: int,
    conv_weight: Float[Tensor, "K C"],
    scale: Float[Tensor, "K"] | None,
    bias: Float[Tensor, "K"] | None,
    relu: bool,
) -> Float[Tensor, "B T K H W"]:
    """relu(scale * (conv_weight @ interlace(x)) + bias), in the memory format of x; float32 or half precision."""
    x = with_pixel_stride(x)
    B, T, C, H, W = x.shape
    K, size = conv_weight.shape[0], fold // offset.shape[1]
    if x.stride(2) == 1 and C > 1:
        out = x.new_empty((B, T, H, W, K)).permute(0, 1, 4, 2, 3)
    else:
        out = x.new_empty((B, T, K, H, W))

    def grid(meta: dict[str, Any]) -> tuple[int, int, int]:
        return triton.cdiv(K, meta["TILE_K"]) * triton.cdiv(H * W, meta["TILE_P"]), T, B

    with torch.cuda.device_of(x):
        _conv_kernel[grid](
            *(x, offset, weight, conv_weight, scale, bias, out),
            *(T, C, H * W, K, size, fold, triton.next_power_of_2(B)),
            *(*x.stride()[:3], pixel_stride(x), *out.stride()[:3], pixel_stride(out)),
            *(*offset.stride(), *weight.stride(), *conv_weight.stride()),
            **OPTIONS,
            RUN=math.gcd(C, size, 8),
            RELU=relu,
            # The interpreter multiplies the bits of bfloat16 as if they were integers.
            OPERAND=tl.float32 if INTERPRETED else getattr(tl, str(x.dtype).removeprefix("torch.")),
        )
    return out
