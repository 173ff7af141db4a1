"""The compiled kernels for tensors: what they take, sizes and addresses, results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import addressof, byref

import torch
from torch import Tensor

from interlace.ops._library import (
    DTYPES,
    HAS_CONV,
    LIBRARY,
    ROWS_DTYPES,
    THREADS,
    Call,
    CausalNets,
    Conv,
    Nets,
    NetsBack,
    Operand,
    RowsConv,
)
from interlace.ops._memory_format import (
    dense_frames,
    empty_with_layout,
    is_channels_last,
    is_contiguous,
    is_exclusive,
    same_layout,
)

_NO_HALF = "the compiled kernels were built without {}; set INTERLACE_PLAIN=1"
_PIECE = 2048  # elements of a group in one task: with all frames of a clip they fit the cache next to the processor
_LANES = 16  # of the convolution of rows: it takes so many outputs at a time


def supports(x: Tensor) -> bool:
    """Whether the kernels are there and know the dtype of x."""
    return LIBRARY is not None and x.is_cpu and x.dtype in DTYPES


def forward(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """What `ops.interlace` returns."""
    _check(x, offset, weight, fold)
    out, dense = torch.empty_like(x), dense_frames(x)
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    into = out if same_layout(out, dense) else empty_with_layout(dense)
    _run(_call(dense, offset, weight, fold, into), x.dtype)
    return out if into is out else out.copy_(into)


def in_place(
    x: Tensor, offset: Tensor, weight: Tensor, fold: int, past: Sequence[Tensor] = ()
) -> Tensor | None:
    """Interlace within x; returns its first channels as they were. None if x is laid out in another way.

    The past is what moves (B, fold, H, W) in the frames before the clip, the latest first; here and below.
    """
    _check(x, offset, weight, fold)
    if not (is_contiguous(x) or is_channels_last(x)) or not is_exclusive(x):
        return None
    kept = torch.empty_like(x[:, :, :fold])
    if not same_layout(kept, x):
        return None
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    call = _call(x, offset, weight, fold, x)
    call.kept = _operand(kept)
    with _frames_before(call, past, x, fold):
        _run(call, x.dtype)
    return kept


def backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, *, with_factors: bool, in_place: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of x, offset and weight; the last two only with_factors. In place, the first overwrites grad."""
    _check(x, offset, weight, fold, grad=grad)
    dense = dense_frames(x)
    if not same_layout(grad, dense) or not is_exclusive(grad):
        grad, in_place = empty_with_layout(dense).copy_(grad), True
    into = grad if in_place else empty_with_layout(dense)
    call_offset, call_weight = offset.float().contiguous(), weight.float().contiguous()
    call = _call(dense, call_offset, call_weight, fold, into)
    call.grad = _operand(grad)
    factors: tuple[Tensor | None, Tensor | None] = (None, None)
    if with_factors:
        factors = torch.zeros_like(call_offset), torch.zeros_like(call_weight)
        dots = call_offset.new_zeros(call.B * call.pieces * call.G * call.T * 2)
        call.dots, call.grad_offset, call.grad_weight = (a.data_ptr() for a in (dots, *factors))
    _run(call, x.dtype)
    grad_x = into if into.stride() == (like := torch.empty_like(x)).stride() else like.copy_(into)
    grad_offset, grad_weight = (
        None if made is None else _as(made, given)
        for made, given in zip(factors, (offset, weight), strict=True)
    )
    return grad_x, grad_offset, grad_weight


def _as(made: Tensor, given: Tensor) -> Tensor:
    """With the dtype and the memory format of another tensor."""
    like = torch.empty_like(given)
    return made if made.dtype == like.dtype and made.stride() == like.stride() else like.copy_(made)


def has_conv1x1(x: Tensor) -> bool:
    """Whether :func:`conv1x1` takes x: float32 and contiguous frames."""
    return HAS_CONV and x.is_cpu and x.dtype == torch.float32 and is_contiguous(x)


def conv1x1(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    kernel: Tensor,
    bias: Tensor | None,
    *,
    relu: bool,
    past: Sequence[Tensor] = (),
) -> Tensor:
    """The convolution (K, C) of the interlaced frames, (B, T, K, H, W); nothing is written but the result."""
    _check(x, offset, weight, fold, kernel=kernel, bias=bias)
    B, T, C, H, W = x.shape
    K, G = kernel.shape[0], offset.shape[1]
    kernel, bias = kernel.contiguous(), None if bias is None else bias.contiguous()
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    out = x.new_empty((B, T, K, H, W))
    if out.numel() == 0:
        return out
    conv = Conv(
        _call(x, offset, weight, fold, out),
        kernel.data_ptr(),
        None if bias is None else bias.data_ptr(),
        out.data_ptr(),
        *(C, K, H * W, fold // G, 1),
        int(relu),
    )
    assert LIBRARY is not None
    with _frames_before(conv.move, past, x, fold):
        LIBRARY.interlace_conv1x1(byref(conv), THREADS)
    return out


def has_conv_rows(x: Tensor, fold: int, num_outputs: int) -> bool:
    """Whether :func:`conv_rows` takes x: channels-last frames without gaps between them."""
    B, T, C, H, W = x.shape
    if not (x.is_cpu and x.dtype in ROWS_DTYPES and is_channels_last(x)) or is_contiguous(x):
        return False
    if num_outputs % _LANES:
        return False
    row = x.stride(4) if W > 1 else x.stride(3)
    follows = (T == 1 or x.stride(1) == H * W * row) and (B == 1 or x.stride(0) == T * H * W * row)
    return follows and H * W > 1 and (x.dtype == torch.float32 or (fold % 2 == 0 and C % 2 == 0))


def pack(kernel: Tensor) -> Tensor:
    """A kernel (K, C) in the order in which :func:`conv_rows` reads it."""
    kernel = kernel.contiguous()
    packed = torch.empty_like(kernel)
    assert LIBRARY is not None
    LIBRARY.interlace_pack(kernel.data_ptr(), packed.data_ptr(), *kernel.shape, DTYPES[kernel.dtype], THREADS)
    return packed


def conv_rows(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    packed: Tensor,
    bias: Tensor | None,
    limits: tuple[float, float],
    past: Sequence[Tensor] = (),
) -> Tensor:
    """:func:`conv1x1` for channels-last frames, with a kernel from :func:`pack`; results are cut to the limits."""
    _check(x, offset, weight, fold, kernel=packed, bias=bias)
    if not has_conv_rows(x, fold, packed.shape[0]):
        raise ValueError(
            f"the packed convolution takes channels-last clips, not {x.dtype} {tuple(x.shape)} {x.stride()}"
        )
    B, T, C, H, W = x.shape
    K = packed.shape[0]
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    bias = None if bias is None else bias.float().contiguous()
    out = x.new_empty((B, T, H, W, K)).permute(0, 1, 4, 2, 3)
    if out.numel() == 0:
        return out
    conv = RowsConv(
        _call(x, offset, weight, fold, x),
        packed.data_ptr(),
        None if bias is None else bias.data_ptr(),
        out.data_ptr(),
        *(C, K, H * W, B * T * H * W, 1),
        *limits,
    )
    assert LIBRARY is not None
    with _frames_before(conv.move, past, x, fold):
        LIBRARY.interlace_conv_rows(byref(conv), DTYPES[x.dtype], THREADS)
    return out


def nets_fit(x: Tensor, parameters: list[Tensor]) -> bool:
    """Whether these are weight and bias of the four layers, in float32, for clips of the length of x."""
    if len(parameters) != 8 or not all(a.is_cpu and a.dtype == torch.float32 for a in parameters):
        return False
    T, C = x.shape[1:3]
    conv, fc2 = parameters[0], parameters[4]
    F, groups = conv.shape[1] if conv.ndim == 3 else 0, fc2.shape[0]
    wanted = [(1, F, 3), (1,), (T, T), (T,), (groups, T), (groups,), (groups, F, 3), (groups,)]
    return 0 < F <= C and all(a.shape == shape for a, shape in zip(parameters, wanted, strict=True))


def nets(
    x: Tensor, parameters: list[Tensor], offset_range: float, mirrored: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What `ops.nets.offset_and_weight` returns, and the descriptor (B, T, F)."""
    if not nets_fit(x, parameters):
        raise ValueError(
            f"parameters {[tuple(parameter.shape) for parameter in parameters]} do not fit clips {tuple(x.shape)}"
        )
    x = dense_frames(x)
    parameters = [parameter.contiguous() for parameter in parameters]
    z = parameters[0].new_empty((*x.shape[:2], parameters[0].shape[1]))
    offset = z.new_empty((x.shape[0], parameters[5].shape[0] * (2 if mirrored else 1)))
    weight = z.new_empty((*x.shape[:2], offset.shape[1]))
    call = _nets_call(x, parameters, z, offset, weight, offset_range, mirrored)
    assert LIBRARY is not None
    if LIBRARY.interlace_nets(byref(call), DTYPES[x.dtype], THREADS):
        raise RuntimeError(_NO_HALF.format(x.dtype))
    return offset, weight, z


def causal_nets(
    x: Tensor, before: Tensor, parameters: list[Tensor], offset_range: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What `ops.causal_nets` returns, for one frame of each stream."""
    conv, _, last, *_ = parameters
    (B, _, _, H, W), (hidden, F, window), G = x.shape, conv.shape, last.shape[0]
    x, before = dense_frames(x), before.contiguous()
    parameters = [parameter.contiguous() for parameter in parameters]
    z, after = before.new_empty((B, F)), torch.empty_like(before)
    offset, weight = before.new_empty((B, G)), before.new_empty((B, 1, G))
    pool = Nets(_operand(x))
    pool.z, pool.B, pool.T, pool.F, pool.P = z.data_ptr(), B, 1, F, H * W
    pool.channels_last = int(not is_contiguous(x))
    call = CausalNets(
        pool,
        *(tensor.data_ptr() for tensor in (before, *parameters, after, offset, weight)),
        *(window, hidden, G),
        offset_range,
    )
    assert LIBRARY is not None
    if LIBRARY.interlace_causal_nets(byref(call), DTYPES[x.dtype], THREADS):
        raise RuntimeError(_NO_HALF.format(x.dtype))
    return offset, weight, after


def nets_backward(
    grad_offset: Tensor,
    grad_weight: Tensor,
    x: Tensor,
    parameters: list[Tensor],
    z: Tensor,
    offset: Tensor,
    weight: Tensor,
    offset_range: float,
    mirrored: bool,
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of the descriptor and of the parameters."""
    parameters = [parameter.contiguous() for parameter in parameters]
    grads = [torch.zeros_like(parameter) for parameter in (*parameters, z)]
    grad_offset, grad_weight = grad_offset.contiguous(), grad_weight.contiguous()
    back = NetsBack(
        _nets_call(x, parameters, z, offset, weight, offset_range, mirrored),
        *(a.data_ptr() for a in (grad_offset, grad_weight, *grads)),
    )
    assert LIBRARY is not None
    if LIBRARY.interlace_nets_back(byref(back)):
        raise MemoryError("no memory for the gradients of the offset and weight nets")
    return grads[-1], grads[:-1]


def _nets_call(
    x: Tensor,
    parameters: list[Tensor],
    z: Tensor,
    offset: Tensor,
    weight: Tensor,
    offset_range: float,
    mirrored: bool,
) -> Nets:
    """Sizes and addresses; the caller keeps the tensors alive."""
    B, T, _, H, W = x.shape
    return Nets(
        _operand(x),
        *(tensor.data_ptr() for tensor in (*parameters, z, offset, weight)),
        *(B, T, z.shape[2], H * W, parameters[5].shape[0]),
        offset_range,
        *(int(mirrored), int(not is_contiguous(x))),
    )


def _check(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    *,
    grad: Tensor | None = None,
    kernel: Tensor | None = None,
    bias: Tensor | None = None,
) -> None:
    """The kernels believe the addresses and sizes that they get; whoever calls the operators directly may err."""
    B, T, C = x.shape[:3]
    G = offset.shape[1] if offset.ndim == 2 else 0
    fits = G > 0 and 0 < fold <= C and fold % G == 0
    fits = fits and offset.shape == (B, G) and weight.shape == (B, T, G)
    fits = fits and (grad is None or grad.shape == x.shape)
    fits = fits and (kernel is None or (kernel.shape[1:] == (C,) and kernel.dtype == x.dtype))
    fits = fits and (bias is None or kernel is None or bias.shape == kernel.shape[:1])
    fits = fits and all(a is None or a.is_cpu for a in (offset, weight, grad, kernel, bias))
    if not fits:
        given = {"offset": offset, "weight": weight, "grad": grad, "kernel": kernel, "bias": bias}
        found = ", ".join(
            f"{name} {tuple(a.shape)} {a.dtype} on {a.device}" for name, a in given.items() if a is not None
        )
        raise ValueError(f"{found} and fold={fold} do not fit x {tuple(x.shape)} {x.dtype} on {x.device}")


def _run(call: Call, dtype: torch.dtype) -> None:
    assert LIBRARY is not None
    if call.rows and call.B and LIBRARY.interlace_run(byref(call), DTYPES[dtype], THREADS):
        raise RuntimeError(_NO_HALF.format(dtype))


def _call(x: Tensor, offset: Tensor, weight: Tensor, fold: int, out: Tensor) -> Call:
    """Sizes and addresses; the caller keeps the tensors alive."""
    B, T, C, H, W = x.shape
    G = offset.shape[1]
    if is_contiguous(x):
        rows, segment, rest = 1, fold // G * H * W, (C - fold) * H * W
        pieces = _even(segment // _PIECE)
    else:
        rows, segment, rest = H * W, fold // G, C - fold
        pieces = min(rows, _even(2 * rows * segment // _PIECE))
    if x.numel() == 0:
        rows = 0
    return Call(
        *(_operand(x), Operand(), _operand(out), Operand(), None, 0),
        *(offset.data_ptr(), weight.data_ptr(), None, None, None),
        *(B, T, G, rows, segment, rest, pieces),
    )


@contextmanager
def _frames_before(call: Call, past: Sequence[Tensor], x: Tensor, fold: int) -> Iterator[None]:
    """Within the block the call has the past, in the memory format of x."""
    B, _, _, H, W = x.shape
    memory_format = torch.contiguous_format if is_contiguous(x) else torch.channels_last
    frames = [
        frame.to(x.dtype).expand(B, fold, H, W).contiguous(memory_format=memory_format) for frame in past
    ]
    operands = (Operand * len(frames))(*(_operand(frame.unsqueeze(1)) for frame in frames))
    call.past, call.reach = addressof(operands), len(frames)
    yield


def _even(pieces: int) -> int:
    """A few pieces would not divide into two threads: 3 leave one of them waiting for a third of the time."""
    return max(2, (pieces + 1) // 2 * 2)


def _operand(x: Tensor) -> Operand:
    sample, frame, _, of_rows, of_columns = x.stride()
    return Operand(x.data_ptr(), sample, frame, of_columns if x.shape[4] > 1 else of_rows)
