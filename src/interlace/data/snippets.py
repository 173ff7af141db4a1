"""What a network of another modality sees at one position: several frames, or fields of flow, in the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.data.derived import DerivedVideo, Picture
from interlace.data.reader import VideoReader
from interlace.modality import FLOW_LENGTH, Modality, channels_of, snippet_length

SNIPPET_SHORT_SIDE = 256
"""Larger frames are reduced to this before flow is computed, as published: motion is counted in their pixels."""


def snippets(pictures: VideoReader, modality: Modality, *, short_side: int | None = None) -> VideoReader:
    """The pictures of a video, one a frame, as the snippets of a modality.

    At each frame stand, one behind the other in the channels:

    - ``flow``: 5 fields, each x then y, of pictures (x, y);
    - ``rgb_diff``: 6 frames;
    - ``rgb_flow``: the colors of the frame, then 5 fields, of pictures (colors, x, y).

    Past the end the last picture is repeated: no motion.

    Args:
        pictures: see :func:`interlace.data.flow.with_flow`; for ``rgb`` and ``rgb_diff`` just frames.
        modality: what to make of them.
        short_side: reduces the snippets.
    """
    if modality == "rgb":
        return pictures
    colors = pictures.num_channels - 2 if modality == "rgb_flow" else pictures.num_channels
    return DerivedVideo(
        pictures,
        reach=snippet_length(modality) if modality == "rgb_diff" else FLOW_LENGTH,
        num_channels=channels_of(modality, colors),
        make=_colors_of_the_first if modality == "rgb_flow" else _all,
        short_side=short_side,
    )


def _all(pictures: Sequence[Picture]) -> Picture:
    return np.concatenate(pictures, axis=-1)


def _colors_of_the_first(pictures: Sequence[Picture]) -> Picture:
    return np.concatenate([pictures[0], *(picture[..., -2:] for picture in pictures[1:])], axis=-1)
