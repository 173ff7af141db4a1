"""From a decoded frame to an upright array of pixels."""

from __future__ import annotations

from typing import Any, Literal

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import Int, UInt8
from PIL import Image

# Matrix coefficients of ITU-T H.273 -> the number swscale has for them; what a file leaves open is BT.601, as
# in every FFmpeg tool.
_MATRICES = {1: 1, 4: 4, 7: 7, 9: 9, 10: 9}
_BT709, _BT601 = 1, 5
_FULL, _LIMITED = 2, 1
# Frames are converted in data workers: one thread each (before PyAV 17 it was one by itself).
_ONE_THREAD = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}


def to_array(
    frame: VideoFrame, reformatter: VideoReformatter, color: Literal["rgb", "gray"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W C"]:
    """Convert to full-range RGB or grey and turn upright; ``size`` is the stored (width, height).

    10-bit depths are reduced to 8, an alpha channel is dropped, and pixels are not made square. Grey is the
    BT.601 luma of the RGB picture, so that video files and folders of pictures agree.
    """
    name = frame.format.name
    is_full = frame.color_range == _FULL or name.startswith(("yuvj", "gray", "ya"))
    matrix = _MATRICES.get(int(frame.colorspace), _BT601)
    # Every argument is explicit: what PyAV assumes otherwise has changed between versions. The target's
    # matrix means nothing for RGB, but before PyAV 17 the range counted only if the two matrices differ.
    rgb = reformatter.reformat(
        frame,
        *size,
        format="rgb24",
        src_colorspace=matrix,
        dst_colorspace=_BT709 if matrix == _BT601 else _BT601,
        src_color_range=_FULL if is_full else _LIMITED,
        dst_color_range=_FULL,
        **_ONE_THREAD,
    ).to_ndarray()
    return upright(to_gray(rgb) if color == "gray" else rgb, display_matrix(frame))


def to_gray(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 1"]:
    """BT.601 luma."""
    return np.asarray(Image.fromarray(rgb).convert("L"))[..., None]


def display_matrix(frame: VideoFrame) -> Int[np.ndarray, "2 2"] | None:
    """How to turn the stored picture: [[a, b], [c, d]] with x' = ax + cy, y' = bx + dy; None: not at all."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]


def swaps_sides(matrix: Int[np.ndarray, "2 2"] | None) -> bool:
    """True if turning upright exchanges height and width."""
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def upright(
    picture: UInt8[np.ndarray, "H W C"], matrix: Int[np.ndarray, "2 2"] | None
) -> UInt8[np.ndarray, "H2 W2 C"]:
    """Turn and mirror by a display matrix, to the nearest quarter turn."""
    if matrix is None:
        return picture
    (a, b), (c, d) = matrix.tolist()
    if swaps_sides(matrix):
        picture = picture.swapaxes(0, 1)  # now x' follows y, and y' follows x
        a, d = c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
