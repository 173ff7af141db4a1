"""The first convolution for other channels than RGB, made from that of RGB (TSN, section 3.2)."""

from __future__ import annotations

from typing import Any, cast

import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from timm.models import adapt_input_conv
from torch import Tensor, nn

from interlace.modality import FLOW_LENGTH, Modality
from interlace.models.geometry import geometry_of


class DifferenceConv2d(nn.Conv2d):
    """conv(later - earlier): takes the differences of neighbouring frames itself, and keeps the plain one's names.

    Frames stay pixels on their way here, so they are cropped, mirrored and normalised as ever; what is subtracted
    from every frame then cancels.

    Args:
        conv: a convolution of the differences; its parameters are taken over.
        color_channels: channels of one frame (C).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from interlace.models.first_conv import DifferenceConv2d
        >>> DifferenceConv2d(nn.Conv2d(15, 4, 3), 3)(torch.zeros(2, 18, 8, 8)).shape
        torch.Size([2, 4, 6, 6])
    """

    def __init__(self, conv: nn.Conv2d, color_channels: int) -> None:
        super().__init__(**geometry_of(conv), device="meta")
        self.weight = conv.weight
        self.bias = conv.bias
        self.color_channels = color_channels
        self.pads_as_tensorflow = isinstance(conv, Conv2dSame)

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D H2 W2"]:
        """Frames of a snippet, one behind the other in the channels, to features."""
        differences = input[:, self.color_channels :] - input[:, : -self.color_channels]
        if not self.pads_as_tensorflow:
            return super().forward(differences)
        padded = pad_same(differences, self.kernel_size, self.stride, self.dilation)  # type: ignore[arg-type]
        return F.conv2d(padded, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


def adapt_first_conv(network: nn.Module, modality: Modality, color_channels: int = 3) -> None:
    """Replace the first convolution of a timm network by one that sees another modality.

    Its weights are the mean of those of the colors, for every channel, as published. That of frame differences
    takes them itself: 18 channels in, 15 differences.

    Raises:
        ValueError: ``rgb_flow``, which two networks share; or the network's input does not begin with a convolution.

    Example:
        >>> import timm
        >>> from interlace.models.first_conv import adapt_first_conv
        >>> network = timm.create_model("resnet18")
        >>> adapt_first_conv(network, "flow")
        >>> network.conv1.weight.shape
        torch.Size([64, 10, 7, 7])
    """
    if modality == "rgb":
        return
    conv = first_conv(network)
    if not isinstance(conv, nn.Conv2d):
        raise ValueError(
            f"{_name(network)!r}, the first layer, is a {type(conv).__name__} and no convolution of frames; "
            "it sees RGB only, use modality='rgb'"
        )
    conv.weight = nn.Parameter(adapt_weight(conv.weight.detach(), modality, color_channels))
    conv.in_channels = conv.weight.shape[1]
    if modality == "rgb_diff":
        network.set_submodule(_name(network), DifferenceConv2d(conv, color_channels))


def adapt_weight(
    weight: Float[Tensor, "D C H W"], modality: Modality, color_channels: int = 3
) -> Float[Tensor, "D C2 H W"]:
    """The weight of a first convolution for another modality, or another number of colors, from that of RGB.

    ``rgb``: the sum for one channel, as timm does. ``flow``: the mean of the colors, 10 times. ``rgb_diff``: the
    same mean for every channel of 5 differences.

    Raises:
        ValueError: ``rgb_flow``.

    Source: TSN, section 3.2 ("cross modality pre-training").

    Example:
        >>> import torch
        >>> from interlace.models.first_conv import adapt_weight
        >>> adapt_weight(torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1), "flow").flatten()[:4].tolist()
        [3.0, 3.0, 3.0, 3.0]
    """
    if modality == "rgb_flow":
        raise ValueError(
            "modality='rgb_flow' is for two-stream networks (two_stream_tsn_resnet50, ...), in which one network sees "
            "the colors and another one the flow; give a single network modality='rgb' or 'flow'"
        )
    if modality == "rgb":
        same = weight.shape[1] == color_channels
        return weight if same else adapt_input_conv(color_channels, weight)
    channels = 2 * FLOW_LENGTH if modality == "flow" else color_channels * FLOW_LENGTH
    return weight.mean(1, keepdim=True).expand(-1, channels, -1, -1).contiguous()


def first_conv(network: nn.Module) -> nn.Module:
    """The layer that sees the frames, as timm's ``pretrained_cfg`` of the network names it."""
    return network.get_submodule(_name(network))


def _name(network: nn.Module) -> str:
    config = cast(dict[str, Any], network.pretrained_cfg)
    if not isinstance(config["first_conv"], str):
        raise ValueError(
            f"{config.get('architecture')} has several first layers ({config['first_conv']}); "
            "it sees RGB only, use modality='rgb'"
        )
    return config["first_conv"]
