"""The operators on the GPU, in Triton: a frame comes from memory once, is written once, and no host is asked.

The kernels see a frame as a table of channels and pixels with two strides, so that contiguous and channels-last
frames are the same kernel with these two exchanged. Offsets, factors and the channels that only pass through are
dealt with inside: an operator is one launch, its gradient three. The first call for a shape tunes itself; from
then on it can be part of a CUDA graph. Sums have a fixed order, without atomics.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

# @no_type_check keeps mypy and the shape check of the test run away from the kernels. These call none of the
# functions that are kernels of triton's own (sum, zeros, cdiv), because those are interpreted or compiled as it
# was when triton was imported, ours as it is when this file is.
INTERPRETED: bool = triton.knobs.runtime.interpret

# Multiply and add in one rounding. Said aloud, because Triton is about to change what it does unasked.
OPTIONS = {"enable_fp_fusion": True}


def _configs() -> list[triton.Config]:
    """A program takes TILE_C channels by TILE_P pixels (the launcher's choice) of FRAMES frames, one by one.

    With FRAMES=1 even a small clip fills the GPU (8 frames of 64 channels, 56 x 56: 784 programs of 64 x 32), and
    the second reading of a frame is served by the L2 cache, as the frames of one place run side by side. With
    more, the previous frame waits in registers: fewer reads, for batches that have programs to spare.
    """
    if INTERPRETED:
        return [triton.Config({"TILE_C": 4, "FRAMES": 2})]
    tiles = [(tile, frames) for tile in (1, 4, 16, 32, 64) for frames in (1, 4)]
    return [triton.Config({"TILE_C": tile, "FRAMES": frames}) for tile, frames in tiles]


def _fitting(configs: list[triton.Config], arguments: dict[str, Any], **meta: Any) -> list[triton.Config]:
    """Tiles of 8 to 32 elements a thread and no wider than the frame; else the largest that is no wider."""
    narrow = [c for c in configs if c.kwargs["TILE_C"] <= triton.next_power_of_2(arguments["C"])]
    return [c for c in narrow if 1024 <= c.kwargs["TILE_C"] * meta["TILE_P"] <= 4096] or narrow[-2:]


# batch_class, the batch rounded up to a power of 2, is there for the key only: the last, smaller batch of an epoch
# shall not tune anew.
_tuned = triton.autotune(
    _configs(),
    key=["T", "C", "P", "batch_class", "out_p"],
    prune_configs_by={"early_config_prune": _fitting},
    cache_results=True,
)


@triton.jit
@no_type_check
def inside(t, T):
    """Whether the clip has a frame t."""
    return (t >= 0) & (t < T)


@triton.jit
@no_type_check
def delay_of(offset, stride, c, size, T, moved, RUN: tl.constexpr, WORK: tl.constexpr):
    """Return k = floor(offset) and phi = offset - k of each channel; zero where it does not move."""
    delay = tl.load(offset + c // size * stride, mask=moved, other=0.0).to(WORK)
    # From T frames on nothing of the clip is left, so k may stop there; NaN stays visible through phi.
    k = tl.floor(delay)
    k = tl.where(k == k, tl.minimum(tl.maximum(k, -T - 1.0), T * 1.0), 0.0)
    # Neighbours in runs of RUN share their group; once told so, the compiler loads whole runs at once.
    return tl.max_constancy(k.to(tl.int32), RUN), delay - k


@triton.jit
@no_type_check
def weight_of(weight, stride, t, T, moved, WORK: tl.constexpr):
    """Weight of the target frame t of each channel; zero outside the clip."""
    return tl.load(weight + t * stride, mask=moved & inside(t, T), other=0.0).to(WORK)


@triton.jit
@no_type_check
def frame_of(x, stride, t, T, place, wanted, mask):
    """Frame t of each channel, (pixels, channels); zero outside the clip and where it is not wanted."""
    # A clip may have more than 2**31 elements, a frame has fewer.
    pointer = x + (t.to(tl.int64) * stride)[None, :] + place
    return tl.load(pointer, mask=(wanted & inside(t, T))[None, :] & mask, other=0.0)


@triton.jit
@no_type_check
def put(out, stride, t, T, place, value, mask):
    """Write frame t of each channel, if the clip has it."""
    pointer = out + (t.to(tl.int64) * stride)[None, :] + place
    tl.store(pointer, value.to(out.dtype.element_ty), mask=inside(t, T)[None, :] & mask)


@triton.jit
@no_type_check
def mix(near, near_factor, near_there, far, far_factor, far_there, moved):
    """Both taps where a channel moves, else the near frame as it is."""
    # A tap that is not there counts nothing, even if its factor is infinite.
    near_factor = tl.where(near_there, near_factor, 0.0)
    far_factor = tl.where(far_there, far_factor, 0.0)
    near = near.to(near_factor.dtype)
    mixed = near_factor[None, :] * near + far_factor[None, :] * far.to(far_factor.dtype)
    return tl.where(moved[None, :], mixed, near)


@_tuned
@triton.jit(do_not_specialize=["batch_class"])
@no_type_check
def _forward_kernel(
    x, offset, weight, out, T, C, P, size, fold, batch_class,  # noqa: ARG001
    x_b, x_t, x_c, x_p, out_b, out_t, out_c, out_p, offset_b, offset_g, weight_b, weight_t, weight_g,
    RUN: tl.constexpr, WORK: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    run: tl.constexpr = RUN if RUN < TILE_C else TILE_C
    spans = (T + FRAMES - 1) // FRAMES
    p = tl.program_id(0) // spans * TILE_P + tl.arange(0, TILE_P)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    b = tl.program_id(2).to(tl.int64)
    moved = tl.max_constancy(c < fold, run)
    mask = (p < P)[:, None] & tl.max_constancy(c < C, run)[None, :]
    k, phi = delay_of(offset + b * offset_b, offset_g, c, size, T, moved, run, WORK)
    weights = weight + b * weight_b + c // size * weight_g
    place = (c * x_c)[None, :] + (p * x_p)[:, None]
    out_place = (c * out_c)[None, :] + (p * out_p)[:, None]
    start = tl.full((TILE_C,), tl.program_id(0) % spans * FRAMES, tl.int32)
    blends = moved & (phi != 0)  # moved by whole frames, a channel shows one frame alone
    far = frame_of(x + b * x_b, x_t, start - k - 1, T, place, blends, mask)
    for i in tl.static_range(FRAMES):
        t = start + i
        near = frame_of(x + b * x_b, x_t, t - k, T, place, t < T, mask)
        w = weight_of(weights, weight_t, t, T, moved, WORK)
        far_there = inside(t - k - 1, T) & blends
        shown = mix(near, w * (1 - phi), inside(t - k, T), far, w * phi, far_there, moved)
        put(out + b * out_b, out_t, t, T, out_place, shown, mask)
        far = near


@_tuned
@triton.jit(do_not_specialize=["batch_class"])
@no_type_check
def _backward_kernel(
    grad, x, offset, weight, out, near_dots, far_dots, T, C, P, size, fold, batch_class,  # noqa: ARG001
    grad_b, grad_t, grad_c, grad_p, x_b, x_t, x_c, x_p, out_b, out_t, out_c, out_p,
    offset_b, offset_g, weight_b, weight_t, weight_g,
    RUN: tl.constexpr, WORK: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    # By source frames s, not by targets: x[s] meets both its targets, grad[s + k] and grad[s + k + 1], at once.
    run: tl.constexpr = RUN if RUN < TILE_C else TILE_C
    spans = (T + FRAMES - 1) // FRAMES
    block = tl.program_id(0) // spans
    p = block * TILE_P + tl.arange(0, TILE_P)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    b = tl.program_id(2).to(tl.int64)
    moved = tl.max_constancy(c < fold, run)
    mask = (p < P)[:, None] & tl.max_constancy(c < C, run)[None, :]
    k, phi = delay_of(offset + b * offset_b, offset_g, c, size, T, moved, run, WORK)
    weights = weight + b * weight_b + c // size * weight_g
    grad_place = (c * grad_c)[None, :] + (p * grad_p)[:, None]
    x_place = (c * x_c)[None, :] + (p * x_p)[:, None]
    out_place = (c * out_c)[None, :] + (p * out_p)[:, None]
    start = tl.full((TILE_C,), tl.program_id(0) % spans * FRAMES, tl.int32)
    near = frame_of(grad + b * grad_b, grad_t, start + k, T, grad_place, c < C, mask)
    near_w = weight_of(weights, weight_t, start + k, T, moved, WORK)
    for i in tl.static_range(FRAMES):
        s = start + i
        t = s + k
        # Where nothing moves this is the next frame, which the last one has no use for.
        wanted = moved if i + 1 == FRAMES else c < C
        far = frame_of(grad + b * grad_b, grad_t, t + 1, T, grad_place, wanted, mask)
        source = frame_of(x + b * x_b, x_t, s, T, x_place, moved, mask)
        far_w = weight_of(weights, weight_t, t + 1, T, moved, WORK)
        shown = mix(near, near_w * (1 - phi), inside(t, T), far, far_w * phi, inside(t + 1, T), moved)
        put(out + b * out_b, out_t, s, T, out_place, shown, mask)
        # The dot products of this block of pixels, (B, T, blocks, fold).
        place = ((b * T + s) * (tl.num_programs(0) // spans) + block) * fold + c
        near_dot = tl.reduce(near.to(WORK) * source.to(WORK), 0, tl.standard._sum_combine)
        far_dot = tl.reduce(far.to(WORK) * source.to(WORK), 0, tl.standard._sum_combine)
        tl.store(near_dots + place, near_dot, mask=moved & (s < T))
        tl.store(far_dots + place, far_dot, mask=moved & (s < T))
        near = far
        near_w = far_w


@triton.jit
@no_type_check
def _dots_kernel(
    near_dots, far_dots, offset, weight, grad_offset, grad_weight, T, G, blocks, size, fold,
    offset_b, offset_g, weight_b, weight_t, weight_g, out_b, out_t, out_g, WORK: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """The blocks' dot products summed for each target frame and group, times what the definition says."""
    t = tl.program_id(0)
    g = tl.program_id(1) + tl.arange(0, 1)
    b = tl.program_id(2).to(tl.int64)
    k, phi = delay_of(offset + b * offset_b, offset_g, g, 1, T, g >= 0, 1, WORK)
    m = tl.arange(0, TILE)
    near = tl.full((TILE,), 0.0, WORK)
    far = tl.full((TILE,), 0.0, WORK)
    for first in range(0, blocks * size, TILE):
        n = first + m
        place = (b * T + t - k) * blocks * fold + n // size * fold + g * size + n % size
        near += tl.load(near_dots + place, mask=(n < blocks * size) & inside(t - k, T), other=0.0)
        place -= blocks * fold
        far += tl.load(far_dots + place, mask=(n < blocks * size) & inside(t - k - 1, T), other=0.0)
    near_dot = tl.reduce(near, 0, tl.standard._sum_combine)
    far_dot = tl.reduce(far, 0, tl.standard._sum_combine)
    here = tl.load(weight + b * weight_b + t * weight_t + g * weight_g).to(WORK)
    # What the frame adds to the gradient of the offset; at an integer this is the right derivative.
    tl.store(grad_offset + (b * T + t) * G + g, here * (far_dot - near_dot))
    tl.store(grad_weight + b * out_b + t * out_t + g * out_g, (1 - phi) * near_dot + phi * far_dot)


class _Frames(NamedTuple):
    """How the kernels shall see the frames of some clips."""

    channels: int
    pixels: int
    size: int  # channels in a group
    strides: list[tuple[int, int, int, int]]  # of each clip: sample, frame, channel, pixel

    @property
    def run(self) -> int:
        """Neighbouring channels that surely share their group: a power of 2, at most 16 bytes of half precision."""
        return math.gcd(self.channels, self.size, 8)

    @property
    def tile_p(self) -> int:
        """Pixels of a tile: all of it where pixels are neighbours in memory, else some beside the channels."""
        return min(1024 if self.strides[-1][3] == 1 else 64, max(1, triton.next_power_of_2(self.pixels)))

    def grid(self, B: int, T: int) -> Any:
        """Programs: frames and pixels (the frames of one place side by side), channels, samples."""
        pixels = triton.cdiv(self.pixels, self.tile_p)
        return lambda meta: (
            triton.cdiv(T, meta["FRAMES"]) * pixels,
            triton.cdiv(self.channels, meta["TILE_C"]),
            B,
        )


def pixel_stride(x: Tensor) -> int | None:
    """The one stride of H and W together; None where there is none."""
    (H, W), (h, w) = x.shape[3:], x.stride()[3:]
    if H == 1 or W == 1 or h == W * w:
        return 1 if H == W == 1 else h if W == 1 else w
    return None


def with_pixel_stride(x: Tensor) -> Tensor:
    """The clip itself, or a copy where H and W have no stride in common."""
    return x if pixel_stride(x) is not None else x.contiguous()


def _frames(size: int, *clips: Tensor) -> _Frames:
    """Frames with `size` channels in a group.

    The channels of a contiguous group lie one after another and share an offset. So they are taken for one long
    channel, whose start is aligned for wide loads even where a plane of 7 x 7 pixels is not.
    """
    C, P = clips[0].shape[2], clips[0].shape[3] * clips[0].shape[4]
    strides = [(*clip.stride()[:3], pixel_stride(clip) or 0) for clip in clips]
    unit = math.gcd(size, C) if all(c == P * p for _, _, c, p in strides) else 1
    return _Frames(C // unit, P * unit, size // unit, [(b, t, c * unit, p) for b, t, c, p in strides])


def work_dtype(x: Tensor) -> tl.dtype:
    """Half precision is interpolated in float32."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def forward(
    x: Float[Tensor, "B T C H W"], offset: Float[Tensor, "B G"], weight: Float[Tensor, "B T G"], fold: int
) -> Float[Tensor, "B T C H W"]:
    """The first `fold` channels interlaced, the others copied."""
    clip = with_pixel_stride(x)
    out = torch.empty_like(clip)
    B, T = x.shape[:2]
    frames = _frames(fold // offset.shape[1], clip, out)
    with torch.cuda.device_of(x):
        _forward_kernel[frames.grid(B, T)](
            *(clip, offset, weight, out, T, frames.channels, frames.pixels, frames.size),
            *(frames.size * offset.shape[1], triton.next_power_of_2(B)),
            *(*frames.strides[0], *frames.strides[1], *offset.stride(), *weight.stride()),
            **OPTIONS,
            RUN=frames.run,
            WORK=work_dtype(x),
            TILE_P=frames.tile_p,
        )
    return out if clip is x else torch.empty_like(x).copy_(out)


def backward(
    grad: Float[Tensor, "B T C H W"],
    x: Float[Tensor, "B T C H W"],
    offset: Float[Tensor, "B G"],
    weight: Float[Tensor, "B T G"],
    fold: int,
) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B G"], Float[Tensor, "B T G"]]:
    """Gradients of x, offset and weight."""
    grad, clip = with_pixel_stride(grad), with_pixel_stride(x)
    out = torch.empty_like(clip)
    B, T, G = weight.shape
    frames = _frames(fold // G, grad, clip, out)
    blocks, moved = triton.cdiv(frames.pixels, frames.tile_p), frames.size * G
    work = torch.promote_types(x.dtype, torch.float32)
    near_dots, far_dots = x.new_empty((2, B, T, blocks, moved), dtype=work)
    grad_offset, grad_weight = x.new_empty((B, T, G), dtype=work), torch.empty_like(weight)
    taps = (*offset.stride(), *weight.stride())
    with torch.cuda.device_of(x):
        _backward_kernel[frames.grid(B, T)](
            *(grad, clip, offset, weight, out, near_dots, far_dots),
            *(T, frames.channels, frames.pixels, frames.size, moved, triton.next_power_of_2(B)),
            *(*frames.strides[0], *frames.strides[1], *frames.strides[2], *taps),
            **OPTIONS,
            RUN=frames.run,
            WORK=work_dtype(x),
            TILE_P=frames.tile_p,
        )
        _dots_kernel[(T, G, B)](
            *(near_dots, far_dots, offset, weight, grad_offset, grad_weight),
            *(T, G, blocks, frames.size, moved, *taps, *grad_weight.stride()),
            **OPTIONS,
            WORK=work_dtype(x),
            TILE=64 if INTERPRETED else 1024,
        )
    grad_x = out if clip is x else torch.empty_like(x).copy_(out)
    return grad_x, grad_offset.sum(1).to(offset.dtype), grad_weight
