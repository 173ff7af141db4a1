"""What the channels of a clip are: colors of a frame, or the motion of the snippet that begins there.

A clip stays uint8 (T, C, H, W) whatever they are. At each of its T positions stand

- ``rgb``: the frame, 3 channels (1 where videos are read as gray);
- ``flow``: 5 fields of optical flow from this frame on, x and y of each in turn, 10 channels;
- ``rgb_diff``: the 6 frames from here on, 18 channels; the network takes the 5 differences;
- ``rgb_flow``: the frame and its flow, 13 channels, for two-stream networks.

Source: TSN (Wang et al., ECCV 2016), section 3.2: stacks of 5.
"""

from __future__ import annotations

from typing import Literal

Modality = Literal["rgb", "flow", "rgb_diff", "rgb_flow"]
MODALITIES: tuple[Modality, ...] = ("rgb", "flow", "rgb_diff", "rgb_flow")

FLOW_LENGTH = 5
"""Fields of flow (or differences) at one position."""


def channels_of(modality: Modality, color_channels: int = 3) -> int:
    """Channels of a clip.

    Raises:
        ValueError: an unknown modality.

    Example:
        >>> from interlace.modality import MODALITIES, channels_of
        >>> [channels_of(modality) for modality in MODALITIES]
        [3, 10, 18, 13]
    """
    channels = {
        "rgb": color_channels,
        "flow": 2 * FLOW_LENGTH,
        "rgb_diff": color_channels * (FLOW_LENGTH + 1),
        "rgb_flow": color_channels + 2 * FLOW_LENGTH,
    }
    if modality not in channels:
        raise ValueError(f"modality {modality!r} is unknown; choose from {', '.join(MODALITIES)}")
    return channels[modality]


def snippet_length(modality: Modality) -> int:
    """Frames of the video that one position of a clip is made of.

    Example:
        >>> from interlace.modality import snippet_length
        >>> snippet_length("rgb"), snippet_length("flow")
        (1, 6)
    """
    return 1 if modality == "rgb" else FLOW_LENGTH + 1
