"""The order of a network's weights in memory that its convolutions run fastest with."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def to_channels_last(network: Network) -> Network:
    """Channels last for the 2-D convolutions; ``network.to(memory_format=...)`` refuses those of 3-D ones.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from interlace.models.memory_format import to_channels_last
        >>> network = to_channels_last(nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv3d(4, 6, 3)))
        >>> network[0].weight.is_contiguous(memory_format=torch.channels_last), network[1].weight.is_contiguous()
        (True, True)
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
