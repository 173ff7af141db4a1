"""How the frames of a clip lie in memory: contiguous, channels-last, or otherwise."""

from __future__ import annotations

from torch import Tensor


def is_contiguous(x: Tensor) -> bool:
    """Each frame for itself; samples and frames may lie apart, as in a slice of channels."""
    C, H, W = x.shape[2:]
    of_channels, of_rows, of_columns = x.stride()[2:]
    return (C == 1 or of_channels == H * W) and (H == 1 or of_rows == W) and (W == 1 or of_columns == 1)


def is_channels_last(x: Tensor) -> bool:
    """Each frame for itself; pixels may lie apart, as in a slice of channels, but not on each other."""
    C, H, W = x.shape[2:]
    of_channels, of_rows, of_columns = x.stride()[2:]
    of_pixels = of_columns if W > 1 else of_rows
    return (
        (C == 1 or of_channels == 1)
        and (H * W == 1 or of_pixels >= C)
        and (H == 1 or W == 1 or of_rows == W * of_columns)
    )


def is_exclusive(x: Tensor) -> bool:
    """Whether no frame lies on another one, as expanded ones do: only then may x be written."""
    return (x.shape[0] == 1 or x.stride(0) != 0) and (x.shape[1] == 1 or x.stride(1) != 0)


def dense_frames(x: Tensor) -> Tensor:
    return x if is_contiguous(x) or is_channels_last(x) else x.contiguous()


def empty_with_layout(x: Tensor) -> Tensor:
    """Dense, and contiguous or channels-last as the frames of x are."""
    if is_contiguous(x):
        return x.new_empty(x.shape)
    B, T, C, H, W = x.shape
    return x.new_empty((B, T, H, W, C)).permute(0, 1, 4, 2, 3)


def same_layout(grad: Tensor, x: Tensor) -> bool:
    if grad.dtype != x.dtype:
        return False
    return is_contiguous(grad) if is_contiguous(x) else is_channels_last(grad) and not is_contiguous(grad)
