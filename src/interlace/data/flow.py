"""Optical flow between neighbouring frames, and the bytes that it is stored in (TSN, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from interlace.data.derived import DerivedVideo, Picture
from interlace.data.pixels import to_gray
from interlace.data.reader import VideoError, VideoReader
from interlace.data.reduce import reduced_size

FlowMethod = Literal["dis", "dis_fast", "tvl1"]
FLOW_METHODS: tuple[FlowMethod, ...] = ("dis", "dis_fast", "tvl1")

BOUND = 20.0
"""Pixels between two frames that the bytes 0 and 255 stand for, as published."""
SMALLEST_SIDE = 12
"""Pixels of the longer side of a frame, below which OpenCV's DIS gives an error."""
NO_MOTION = 128


def optical_flow(
    before: UInt8[np.ndarray, "H W"], after: UInt8[np.ndarray, "H W"], *, method: FlowMethod = "dis"
) -> Float32[np.ndarray, "H W 2"]:
    """Where each pixel of a gray frame has gone in the next one: (x, y) in pixels, right and down are positive.

    ``dis``: dense inverse search, OpenCV's medium preset (fast: ``dis_fast``). ``tvl1``: TV-L1 as published with
    TSN, a hundred times slower. OpenCV is set to one thread, in this process from now on.

    Raises:
        ValueError: an unknown method, or OpenCV is not installed, or has no TV-L1.

    Source: Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016); Zach et al., "A Duality Based
        Approach for Realtime TV-L1 Optical Flow" (DAGM 2007).

    Example:
        >>> import numpy as np
        >>> from interlace.data.flow import optical_flow
        >>> frame = np.zeros((24, 32), np.uint8)
        >>> optical_flow(frame, frame).shape  # doctest: +SKIP
        (24, 32, 2)
    """
    return flow_algorithm(method).calc(before, after, None)


def flow_algorithm(method: FlowMethod) -> Any:
    """OpenCV's object that computes it; one for each thread. See :func:`optical_flow`."""
    if method not in FLOW_METHODS:
        raise ValueError(f"flow method {method!r} is unknown; choose from {', '.join(FLOW_METHODS)}")
    try:
        cv2 = import_module("cv2")  # heavy, and not everyone's
    except ImportError as error:
        raise ValueError(f"optical flow needs OpenCV ({error}): pip install 'interlace[flow]'") from error
    cv2.setNumThreads(
        1
    )  # of clips, not frames, many run at a time; and its threads hang in a forked data worker
    if method == "tvl1":
        if not hasattr(cv2, "optflow"):
            raise ValueError(
                f"OpenCV {cv2.__version__} is installed without TV-L1: pip install opencv-contrib-python-headless, "
                "or choose the method dis"
            )
        return cv2.optflow.DualTVL1OpticalFlow_create()
    presets = {"dis": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, "dis_fast": cv2.DISOPTICAL_FLOW_PRESET_FAST}
    return cv2.DISOpticalFlow_create(presets[method])


def to_bytes(flow: Float32[np.ndarray, "*size"]) -> UInt8[np.ndarray, "*size"]:
    """Pixels to bytes: round(255 (v + 20) / 40), halves to even, cut off beyond -20 and 20; no motion is 128.

    Source: the released TSN (dense_flow).

    Example:
        >>> import numpy as np
        >>> from interlace.data.flow import to_bytes
        >>> to_bytes(np.array([-30, -20, 0, 3, 20], np.float32)).tolist()
        [0, 0, 128, 147, 255]
    """
    scaled = 255 * (flow.astype(np.float64).clip(-BOUND, BOUND) + BOUND) / (2 * BOUND)
    return np.rint(scaled).astype(np.uint8)


def to_pixels(pictures: UInt8[np.ndarray, "*size"]) -> Float32[np.ndarray, "*size"]:
    """Bytes to pixels: 40 v / 255 - 20, within 0.08 pixels of what :func:`to_bytes` was given.

    Example:
        >>> import numpy as np
        >>> from interlace.data.flow import to_pixels
        >>> [f"{pixels:.2f}" for pixels in to_pixels(np.array([0, 128, 255], np.uint8))]
        ['-20.00', '0.08', '20.00']
    """
    return (pictures.astype(np.float32) * (2 * BOUND / 255) - BOUND).astype(np.float32)


def with_flow(frames: VideoReader, method: FlowMethod, *, keep_color: bool) -> VideoReader:
    """At each frame the flow to the next one, as bytes (H, W, 2), behind its colors if they are kept.

    From the last frame on nothing moves.

    Raises:
        VideoError: the frames are too small.
    """
    size = reduced_size(frames.height, frames.width, frames.short_side)
    if max(size) < SMALLEST_SIDE:
        raise VideoError(
            f"{frames.path}: frames of {size[1]} x {size[0]} pixels are too small for optical flow; "
            f"it takes {SMALLEST_SIDE} pixels one way"
        )
    colors = frames.num_channels if keep_color else 0
    return DerivedVideo(
        frames, reach=2, num_channels=colors + 2, make=partial(_flow_picture, _Flow(method), colors)
    )


class _Flow:
    """Loads OpenCV with the first field, so that looking at a video's length needs none."""

    def __init__(self, method: FlowMethod) -> None:
        self.method = method
        self._algorithm: Any = None

    def __call__(self, before: Picture, after: Picture) -> Picture:
        if before is after:  # past the last frame
            return np.full((*before.shape[:2], 2), NO_MOTION, np.uint8)
        self._algorithm = self._algorithm or flow_algorithm(self.method)
        return to_bytes(self._algorithm.calc(_gray(before), _gray(after), None))


def _flow_picture(flow: _Flow, colors: int, frames: Sequence[Picture]) -> Picture:
    before, after = frames
    return np.concatenate([before[..., :colors], flow(before, after)], axis=-1)


def _gray(picture: Picture) -> UInt8[np.ndarray, "H W"]:
    gray = picture if picture.shape[-1] == 1 else to_gray(np.ascontiguousarray(picture))
    return np.ascontiguousarray(gray[..., 0])
