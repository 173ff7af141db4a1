"""The compiled kernels of `cpu/`, which the wheel carries, behind ctypes: no compiler is needed to run them.

They are there if a C compiler was at hand when the package was built; else, and with INTERLACE_PLAIN=1 in the
environment, the operators run in plain torch. Their threads are torch's own.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
from ctypes import POINTER, byref, c_float, c_int32, c_int64, c_void_p
from pathlib import Path

import torch
from torch import Tensor

_NO_HALF = "the compiled kernels were built without {}; set INTERLACE_PLAIN=1"
_DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
_PIECE = 2048  # elements of a group in one task: with all frames of a clip they fit the cache next to the processor


class _Operand(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("sample", c_int64), ("frame", c_int64), ("row", c_int64)]


class _Call(ctypes.Structure):
    """`Call` in cpu/common.h."""

    _fields_ = [
        *((name, _Operand) for name in ("x", "grad", "out", "kept")),
        *((name, c_void_p) for name in ("offset", "weight", "dots", "grad_offset", "grad_weight")),
        *((name, c_int64) for name in ("B", "T", "G", "rows", "segment", "rest", "pieces")),
    ]


class _Conv(ctypes.Structure):
    """`Conv` in cpu/conv.h."""

    _fields_ = [
        ("move", _Call),
        *((name, c_void_p) for name in ("kernel", "bias", "out")),
        *((name, c_int64) for name in ("C", "K", "P", "channels", "parts")),
        ("relu", c_int32),
    ]


class _RowsConv(ctypes.Structure):
    """`RowsConv` in cpu/conv_rows.h."""

    _fields_ = [
        ("move", _Call),
        *((name, c_void_p) for name in ("packed", "bias", "out")),
        *((name, c_int64) for name in ("C", "K", "P", "rows", "rows_per_task")),
        *((name, c_float) for name in ("lowest", "highest")),
    ]


class _Nets(ctypes.Structure):
    """`Nets` in cpu/common.h."""

    _fields_ = [
        ("x", _Operand),
        *((f"parameter_{i}", c_void_p) for i in range(8)),
        *((name, c_void_p) for name in ("z", "offset", "weight")),
        *((name, c_int64) for name in ("B", "T", "F", "P", "groups")),
        ("offset_range", c_float),
        *((name, c_int32) for name in ("mirrored", "channels_last")),
    ]


class _NetsBack(ctypes.Structure):
    """`NetsBack` in cpu/common.h."""

    _fields_ = [
        ("nets", _Nets),
        *((name, c_void_p) for name in ("grad_offset", "grad_weight")),
        *((f"grad_parameter_{i}", c_void_p) for i in range(8)),
        ("grad_z", c_void_p),
    ]


def _load() -> ctypes.CDLL | None:
    """The library beside this file; None if it was not built, is switched off, or torch has no parallel_for."""
    if os.environ.get("INTERLACE_PLAIN") == "1":
        return None
    folder = Path(__file__).parent
    files = [folder / f"_cpu_kernels{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    file = next((file for file in files if file.exists()), None)
    if file is None or _parallel_for() is None:
        return None
    library = ctypes.CDLL(str(file))
    library.interlace_run.argtypes = [POINTER(_Call), c_int32, c_void_p]
    library.interlace_nets.argtypes = [POINTER(_Nets), c_int32, c_void_p]
    library.interlace_nets_back.argtypes = [POINTER(_NetsBack)]
    library.interlace_conv1x1.argtypes = [POINTER(_Conv), c_void_p]
    library.interlace_conv_rows.argtypes = [POINTER(_RowsConv), c_int32, c_void_p]
    library.interlace_pack.argtypes = [c_void_p, c_void_p, c_int64, c_int64, c_int32, c_void_p]
    return library


def _parallel_for() -> c_void_p | None:
    """Torch's parallel_for by its stable C name: the kernels obey torch.set_num_threads."""
    folder = Path(torch.__file__).parent / "lib"
    file = next((file for file in folder.glob("libtorch_cpu.*") if file.suffix in (".so", ".dylib")), None)
    if file is None:
        return None
    function = getattr(ctypes.CDLL(str(file)), "torch_parallel_for", None)
    return None if function is None else ctypes.cast(function, c_void_p)


_library = _load()
_threads = _parallel_for()
HAS_CONV = _library is not None and _library.interlace_conv1x1(byref(_Conv()), None) == 0
"""Whether the fused convolution of contiguous float32 frames exists for this processor."""
_ROWS_DTYPES = {
    dtype
    for dtype in (torch.float32, torch.bfloat16)
    if _library is not None and _library.interlace_conv_rows(byref(_RowsConv()), _DTYPES[dtype], None) == 0
}
_LANES = 16


def supports(x: Tensor) -> bool:
    """Whether the kernels are there and know the dtype of x."""
    return _library is not None and x.is_cpu and x.dtype in _DTYPES


def forward(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """What `ops.interlace` returns."""
    _check(x, offset, weight, fold)
    out, dense = torch.empty_like(x), _dense_frames(x)
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    into = out if _same_layout(out, dense) else _empty_with_layout(dense)
    _run(_call(dense, offset, weight, fold, into), x.dtype)
    return out if into is out else out.copy_(into)


def in_place(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor | None:
    """Interlace within x; returns its first channels as they were. None if x is laid out in another way."""
    _check(x, offset, weight, fold)
    if not (_is_contiguous(x) or _is_channels_last(x)) or not _is_exclusive(x):
        return None
    kept = torch.empty_like(x[:, :, :fold])
    if not _same_layout(kept, x):
        return None
    offset, weight = offset.float().contiguous(), weight.float().contiguous()
    call = _call(x, offset, weight, fold, x)
    call.kept = _operand(kept)
    _run(call, x.dtype)
    return kept


def backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int, *, with_factors: bool, in_place: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of x, offset and weight; the last two only with_factors. In place, the first overwrites grad."""
    _check(x, offset, weight, fold, grad=grad)
    dense = _dense_frames(x)
    if not _same_layout(grad, dense) or not _is_exclusive(grad):
        grad, in_place = _empty_with_layout(dense).copy_(grad), True
    into = grad if in_place else _empty_with_layout(dense)
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
    return HAS_CONV and x.is_cpu and x.dtype == torch.float32 and _is_contiguous(x)


def conv1x1(
    x: Tensor, offset: Tensor, weight: Tensor, fold: int, kernel: Tensor, bias: Tensor | None, *, relu: bool
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
    conv = _Conv(
        _call(x, offset, weight, fold, out),
        kernel.data_ptr(),
        None if bias is None else bias.data_ptr(),
        out.data_ptr(),
        *(C, K, H * W, fold // G, 1),
        int(relu),
    )
    assert _library is not None
    _library.interlace_conv1x1(byref(conv), _threads)
    return out


def has_conv_rows(x: Tensor, fold: int, num_outputs: int) -> bool:
    """Whether :func:`conv_rows` takes x: channels-last frames without gaps between them."""
    B, T, C, H, W = x.shape
    if not (x.is_cpu and x.dtype in _ROWS_DTYPES and _is_channels_last(x)) or _is_contiguous(x):
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
    assert _library is not None
    _library.interlace_pack(
        kernel.data_ptr(), packed.data_ptr(), *kernel.shape, _DTYPES[kernel.dtype], _threads
    )
    return packed


def conv_rows(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    fold: int,
    packed: Tensor,
    bias: Tensor | None,
    limits: tuple[float, float],
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
    conv = _RowsConv(
        _call(x, offset, weight, fold, x),
        packed.data_ptr(),
        None if bias is None else bias.data_ptr(),
        out.data_ptr(),
        *(C, K, H * W, B * T * H * W, 1),
        *limits,
    )
    assert _library is not None
    _library.interlace_conv_rows(byref(conv), _DTYPES[x.dtype], _threads)
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
    x = _dense_frames(x)
    parameters = [parameter.contiguous() for parameter in parameters]
    z = parameters[0].new_empty((*x.shape[:2], parameters[0].shape[1]))
    offset = z.new_empty((x.shape[0], parameters[5].shape[0] * (2 if mirrored else 1)))
    weight = z.new_empty((*x.shape[:2], offset.shape[1]))
    call = _nets_call(x, parameters, z, offset, weight, offset_range, mirrored)
    assert _library is not None
    if _library.interlace_nets(byref(call), _DTYPES[x.dtype], _threads):
        raise RuntimeError(_NO_HALF.format(x.dtype))
    return offset, weight, z


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
    back = _NetsBack(
        _nets_call(x, parameters, z, offset, weight, offset_range, mirrored),
        *(a.data_ptr() for a in (grad_offset, grad_weight, *grads)),
    )
    assert _library is not None
    if _library.interlace_nets_back(byref(back)):
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
) -> _Nets:
    """Sizes and addresses; the caller keeps the tensors alive."""
    B, T, _, H, W = x.shape
    return _Nets(
        _operand(x),
        *(tensor.data_ptr() for tensor in (*parameters, z, offset, weight)),
        *(B, T, z.shape[2], H * W, parameters[5].shape[0]),
        offset_range,
        *(int(mirrored), int(not _is_contiguous(x))),
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


def _run(call: _Call, dtype: torch.dtype) -> None:
    assert _library is not None
    if call.rows and call.B and _library.interlace_run(byref(call), _DTYPES[dtype], _threads):
        raise RuntimeError(_NO_HALF.format(dtype))


def _call(x: Tensor, offset: Tensor, weight: Tensor, fold: int, out: Tensor) -> _Call:
    """Sizes and addresses; the caller keeps the tensors alive."""
    B, T, C, H, W = x.shape
    G = offset.shape[1]
    if _is_contiguous(x):
        rows, segment, rest = 1, fold // G * H * W, (C - fold) * H * W
        pieces = _even(segment // _PIECE)
    else:
        rows, segment, rest = H * W, fold // G, C - fold
        pieces = min(rows, _even(2 * rows * segment // _PIECE))
    if x.numel() == 0:
        rows = 0
    return _Call(
        *(_operand(x), _Operand(), _operand(out), _Operand()),
        *(offset.data_ptr(), weight.data_ptr(), None, None, None),
        *(B, T, G, rows, segment, rest, pieces),
    )


def _even(pieces: int) -> int:
    """A few pieces would not divide into two threads: 3 leave one of them waiting for a third of the time."""
    return max(2, (pieces + 1) // 2 * 2)


def _operand(x: Tensor) -> _Operand:
    sample, frame, _, of_rows, of_columns = x.stride()
    return _Operand(x.data_ptr(), sample, frame, of_columns if x.shape[4] > 1 else of_rows)


def _is_contiguous(x: Tensor) -> bool:
    """Each frame for itself; samples and frames may lie apart, as in a slice of channels."""
    C, H, W = x.shape[2:]
    of_channels, of_rows, of_columns = x.stride()[2:]
    return (C == 1 or of_channels == H * W) and (H == 1 or of_rows == W) and (W == 1 or of_columns == 1)


def _is_channels_last(x: Tensor) -> bool:
    """Each frame for itself; pixels may lie apart, as in a slice of channels, but not on each other."""
    C, H, W = x.shape[2:]
    of_channels, of_rows, of_columns = x.stride()[2:]
    of_pixels = of_columns if W > 1 else of_rows
    return (
        (C == 1 or of_channels == 1)
        and (H * W == 1 or of_pixels >= C)
        and (H == 1 or W == 1 or of_rows == W * of_columns)
    )


def _is_exclusive(x: Tensor) -> bool:
    """Whether no frame lies on another one, as expanded ones do: only then may x be written."""
    return (x.shape[0] == 1 or x.stride(0) != 0) and (x.shape[1] == 1 or x.stride(1) != 0)


def _dense_frames(x: Tensor) -> Tensor:
    return x if _is_contiguous(x) or _is_channels_last(x) else x.contiguous()


def _empty_with_layout(x: Tensor) -> Tensor:
    """Dense, and contiguous or channels-last as the frames of x are."""
    if _is_contiguous(x):
        return x.new_empty(x.shape)
    B, T, C, H, W = x.shape
    return x.new_empty((B, T, H, W, C)).permute(0, 1, 4, 2, 3)


def _same_layout(grad: Tensor, x: Tensor) -> bool:
    if grad.dtype != x.dtype:
        return False
    return _is_contiguous(grad) if _is_contiguous(x) else _is_channels_last(grad) and not _is_contiguous(grad)
