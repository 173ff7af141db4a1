"""Networks as published: ours, with the published arithmetic in the place of every temporal module."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from baselines.interlace import PublishedInterlace
from baselines.shift import PublishedShift
from interlace.models.backbone import TemporalConv2d
from interlace.temporal import TemporalInterlace, TemporalShift


class CombinedConv2d(nn.Module):
    """The module, then the plain convolution on what it returns. Keys as in ours: weight, temporal.*."""

    def __init__(self, ours: TemporalConv2d, temporal: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = ours.weight, ours.bias
        self.geometry: dict[str, Any] = {
            "stride": ours.stride,
            "padding": ours.padding,
            "dilation": ours.dilation,
            "groups": ours.groups,
        }
        self.temporal = temporal

    def forward(self, frames: Tensor) -> Tensor:
        return nn.functional.conv2d(self.temporal(frames), self.weight, self.bias, **self.geometry)


def published(network: nn.Module) -> nn.Module:
    """A copy of one of our networks, with its weights, that computes as the published code did."""
    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        if isinstance(module, TemporalConv2d):
            if module.padding_mode != "zeros":
                raise ValueError(
                    f"{name}: padding_mode {module.padding_mode!r} is not transcribed, only zeros"
                )
            network.set_submodule(name, CombinedConv2d(module, _published_module(module.temporal)))
    return network


def _published_module(module: nn.Module) -> nn.Module:
    if isinstance(module, TemporalInterlace):
        return PublishedInterlace(module)
    if isinstance(module, TemporalShift) and module.mode == "bidirectional":
        return PublishedShift(module)
    raise ValueError(f"there is no published arithmetic of {module} here")
