"""What is done to the pixels: random crops, colour and mirror in training, and the numbers a network takes.

Every transform takes a whole clip and does the same to all its frames. Clips stay uint8 until `Preprocess`.
Random choices come from torch's global generator, which the data set seeds for each sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from interlace.data.crops import MULTI_SCALE_STEPS, crop_positions, multi_scale_sizes
from interlace.data.mirror import Mirror, mirror_colors, mirror_of
from interlace.data.views import spatial_views
from interlace.modality import FLOW_LENGTH, Modality

SCALES = (1.0, 0.875, 0.75, 0.66)
"""Sides of the multi-scale crop as parts of the frame's short side, as published for RGB."""
SCALES_OF_MOTION = (1.0, 0.875, 0.75)
"""And for optical flow and frame differences."""


@dataclass(frozen=True)
class MultiScaleCrop:
    """Cut one of 13 places in one of 10 sizes out of the frame and resize it to a square.

    Takes uint8 (T, C, H, W) of any size, gives uint8 (T, C, image_size, image_size); bilinear, antialiased.

    Source: Wang et al., "Towards Good Practices for Very Deep Two-Stream ConvNets"; the released TSN, TSM and
        TIN.

    Example:
        >>> import torch
        >>> from interlace.data.transforms import MultiScaleCrop
        >>> MultiScaleCrop(56)(torch.zeros(4, 3, 60, 80, dtype=torch.uint8)).shape
        torch.Size([4, 3, 56, 56])
    """

    image_size: int
    scales: Sequence[float] = SCALES

    def __call__(self, clip: UInt8[Tensor, "T C H W"]) -> UInt8[Tensor, "T C S S"]:
        """Crop and resize; cropping first leaves fewer pixels to resize."""
        frame_size = (clip.shape[-1], clip.shape[-2])
        width, height = _choose(multi_scale_sizes(frame_size, self.image_size, self.scales))
        left, top = _choose(crop_positions(frame_size, (width, height), MULTI_SCALE_STEPS))
        size = [self.image_size, self.image_size]
        return functional.resized_crop(clip, top, left, height, width, size, antialias=True)


@dataclass(frozen=True)
class CenterCrop:
    """The centre crop of testing, for training without randomness.

    Takes uint8 (T, C, H, W), gives uint8 (T, C, image_size, image_size).

    Example:
        >>> import torch
        >>> from interlace.data.transforms import CenterCrop
        >>> CenterCrop(56)(torch.zeros(4, 3, 60, 80, dtype=torch.uint8)).shape
        torch.Size([4, 3, 56, 56])
    """

    image_size: int

    def __call__(self, clip: UInt8[Tensor, "T C H W"]) -> UInt8[Tensor, "T C S S"]:
        """See :func:`interlace.data.views.spatial_views`."""
        return spatial_views(clip, "center", self.image_size)[0]


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror a clip, and its labels with it. ``mirror`` is that of the clip's modality.

    ``label_map`` says what a class becomes in the mirror (left -> right and right -> left); others stay what
    they are. :func:`interlace.data.flip.flip_map` finds it from the class names.

    Example:
        >>> import torch
        >>> from interlace.data.transforms import HorizontalFlip
        >>> flip = HorizontalFlip({0: 1, 1: 0}, probability=1.0)
        >>> flip(torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8), (0, 2))
        (tensor([[[[3, 2, 1]]]], dtype=torch.uint8), (1, 2))
    """

    label_map: Mapping[int, int] = field(default_factory=dict)
    probability: float = 0.5
    mirror: Mirror = mirror_colors

    def __call__(
        self, clip: UInt8[Tensor, "T C H W"], labels: tuple[int, ...]
    ) -> tuple[UInt8[Tensor, "T C H W"], tuple[int, ...]]:
        """Mirror both or neither."""
        if float(torch.rand(())) >= self.probability:
            return clip, labels
        return self.mirror(clip), tuple(self.label_map.get(label, label) for label in labels)


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast and saturation of some channels change by up to ``strength``, alike in the whole clip.

    ``colors`` is the shape of the channels that are colors, which come first: (3,) of one frame, (6, 3) of six.

    Example:
        >>> import torch
        >>> from interlace.data.transforms import ColorJitter
        >>> ColorJitter(0.5, colors=(3,))(torch.zeros(4, 13, 5, 7, dtype=torch.uint8)).shape
        torch.Size([4, 13, 5, 7])
    """

    strength: float
    colors: tuple[int, ...]

    def __call__(self, clip: UInt8[Tensor, "T C H W"]) -> UInt8[Tensor, "T C H W"]:
        """One draw for the whole clip."""
        num_colors = math.prod(self.colors)
        frames = clip[:, :num_colors].unflatten(1, self.colors)
        jittered: Tensor = v2.ColorJitter(self.strength, self.strength, self.strength)(frames)
        return torch.cat([jittered.flatten(1, -3), clip[:, num_colors:]], dim=1)


@dataclass(frozen=True)
class TrainTransform:
    """The parts of augmentation in their order: crop, color, mirror. A part that is None is left out.

    Takes a uint8 clip (T, C, H, W) and its labels, gives uint8 (T, C, S, S) and the labels after a possible
    mirror. The result keeps the memory format of the clip: frames that were decoded as (T, H, W, C) stay
    channels-last, which is the quick way through resizing.

    Example:
        >>> import torch
        >>> from interlace.data.transforms import CenterCrop, TrainTransform
        >>> clip, labels = TrainTransform(CenterCrop(56))(torch.zeros(4, 3, 60, 80, dtype=torch.uint8), (7,))
        >>> clip.shape, labels
        (torch.Size([4, 3, 56, 56]), (7,))
    """

    crop: Callable[[Tensor], Tensor]
    color: Callable[[Tensor], Tensor] | None = None
    flip: HorizontalFlip | None = None

    def __call__(
        self, clip: UInt8[Tensor, "T C H W"], labels: tuple[int, ...]
    ) -> tuple[UInt8[Tensor, "T C S S"], tuple[int, ...]]:
        """Apply the parts."""
        clip = self.crop(clip)
        if self.color is not None:
            clip = self.color(clip)
        return (clip, labels) if self.flip is None else self.flip(clip, labels)


def train_transform(
    image_size: int,
    *,
    crop: Literal["multi_scale", "resized", "center"] = "multi_scale",
    crop_scales: Sequence[float] | None = None,
    crop_area: tuple[float, float] = (0.3, 1.0),
    color_jitter: float = 0.0,
    flip_map: Mapping[int, int] | None = None,
    modality: Modality = "rgb",
    color_channels: int = 3,
) -> TrainTransform:
    """Put the usual augmentation together.

    Args:
        image_size: side of the result in pixels.
        crop: multi_scale (published), resized (random area and shape), center (no randomness).
        crop_scales: sides of the multi-scale crop as parts of the frame's short side; None for those published
            with the modality (1, 0.875, 0.75, and 0.66 for RGB).
        crop_area: smallest and largest area of the resized crop as a part of the frame.
        color_jitter: brightness, contrast and (with three channels) saturation change by up to this part; 0
            is off.
        flip_map: what each class becomes in a mirror; an empty one flips and swaps nothing, None never flips.
        modality: what the channels are: flow is mirrored in another way, and has no color that could change.
        color_channels: colors of a frame.

    Raises:
        ValueError: an unknown crop; color jitter on flow alone.

    Example:
        >>> from interlace.data.transforms import train_transform
        >>> train_transform(224, flip_map={}).crop
        MultiScaleCrop(image_size=224, scales=(1.0, 0.875, 0.75, 0.66))
    """
    if crop_scales is None:
        crop_scales = SCALES if modality == "rgb" else SCALES_OF_MOTION
    crops: dict[str, Callable[[Tensor], Tensor]] = {
        "multi_scale": MultiScaleCrop(image_size, crop_scales),
        "resized": v2.RandomResizedCrop(image_size, scale=crop_area, antialias=True),
        "center": CenterCrop(image_size),
    }
    if crop not in crops:
        raise ValueError(f"unknown crop {crop!r}; the names are {', '.join(crops)}")
    return TrainTransform(
        crop=crops[crop],
        color=_jitter(color_jitter, modality, color_channels) if color_jitter else None,
        flip=None if flip_map is None else HorizontalFlip(flip_map, mirror=mirror_of(modality)),
    )


def _jitter(strength: float, modality: Modality, color_channels: int) -> Callable[[Tensor], Tensor]:
    if modality == "flow":
        raise ValueError(f"color_jitter={strength} changes colors, and flow has none; set it to 0")
    if modality == "rgb":
        return v2.ColorJitter(strength, strength, strength)
    if modality == "rgb_flow":
        return ColorJitter(strength, colors=(color_channels,))
    return ColorJitter(strength, colors=(FLOW_LENGTH + 1, color_channels))


class Preprocess(nn.Module):
    """uint8 pixels -> normalised floats: (x / 255 - mean) / std, channel by channel.

    Takes (..., C, H, W), gives the same shape and memory format in ``dtype``; mean and std are for pixels in
    [0, 1].

    Raises:
        ValueError: mean, std and the pixels do not have the same number of channels.

    Example:
        >>> import torch
        >>> from interlace.data.transforms import Preprocess
        >>> preprocess = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> preprocess(torch.zeros(2, 4, 3, 5, 7, dtype=torch.uint8))[0, 0, :, 0, 0]
        tensor([-2., -2., -2.])
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], *, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ValueError(
                f"mean has {len(mean)} values and std has {len(std)}; one of each a channel is needed"
            )
        self.dtype = dtype
        means = torch.tensor(mean, dtype=torch.float64).view(-1, 1, 1)
        stds = torch.tensor(std, dtype=torch.float64).view(-1, 1, 1)
        self.register_buffer("scale", (1 / (255 * stds)).float(), persistent=False)
        self.register_buffer("shift", (-means / stds).float(), persistent=False)

    def forward(self, pixels: Shaped[Tensor, "*batch C H W"]) -> Float[Tensor, "*batch C H W"]:
        """One fused multiply-add, in float32 whatever the result's type: bfloat16 would round the factors."""
        if pixels.shape[-3] != len(self.scale):
            raise ValueError(
                f"the pixels have {pixels.shape[-3]} channels and the mean has {len(self.scale)} values; "
                "read the video in the color that the network was built for, or give its mean and std"
            )
        return torch.addcmul(self.shift, pixels, self.scale).to(self.dtype)


def _choose(options: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return options[int(torch.randint(len(options), ()))]
