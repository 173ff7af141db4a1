"""The methods of the papers' tables: how each is built from a backbone, and the names it is listed under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from interlace.models.classifier import linear_head
from interlace.models.tin import tin
from interlace.models.tsm import tsm
from interlace.models.tsn import tsn
from interlace.temporal import AverageConsensus

Head = Callable[..., tuple[nn.Module, nn.Module]]

# The tests build and run each of these. Other timm networks of the same families work too.
BACKBONES = (
    "convnext_atto",
    "convnext_femto",
    "convnext_nano",
    "convnext_pico",
    "convnext_small",
    "convnext_tiny",
    "convnextv2_atto",
    "convnextv2_nano",
    "convnextv2_tiny",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_lite0",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv2_140",
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "regnetx_008",
    "regnetx_016",
    "regnety_008",
    "regnety_016",
    "regnety_032",
    "resnet18",
    "resnet26",
    "resnet34",
    "resnet50",
    "resnet50d",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "seresnet50",
    "tf_efficientnet_b0",
    "tf_efficientnetv2_s",
    "wide_resnet50_2",
)


def average_of_frames(
    num_features: int,
    num_classes: int,
    *,
    num_segments: int,  # noqa: ARG001 - every head is made alike
) -> tuple[nn.Module, nn.Module]:
    """A linear classifier on every frame, and the mean of what it says."""
    return linear_head(num_features, num_classes), AverageConsensus()


@dataclass(frozen=True)
class Method:
    """One row of a table, for any backbone.

    A network maps frames (B*T, C, H, W) to features (B*T', D), with T running fastest. It has timm's attributes
    ``pretrained_cfg`` and ``head_hidden_size`` (D).
    """

    network: Callable[..., nn.Module]
    """(backbone, *, num_segments, pretrained, in_chans, modality, **arguments) to the network."""
    head: Head = average_of_frames
    """(num_features, num_classes, *, num_segments, **head_arguments) to head and consensus."""
    head_arguments: tuple[str, ...] = ()
    """Those of the caller's arguments that are for the head."""
    num_segments: int = 8
    """Frames in a clip as published."""
    backbones: tuple[str, ...] = ("resnet18", "resnet50")
    """The names it is listed and tested with."""

    def build(
        self, backbone: str, *, num_classes: int, num_segments: int, **arguments: Any
    ) -> tuple[nn.Module, nn.Module, nn.Module]:
        """Network, head and consensus."""
        for_head = {name: arguments.pop(name) for name in self.head_arguments if name in arguments}
        network = self.network(backbone, num_segments=num_segments, **arguments)
        head, consensus = self.head(
            network.head_hidden_size, num_classes, num_segments=num_segments, **for_head
        )
        return network, head, consensus


METHODS: dict[str, Method] = {
    "tsn": Method(tsn, backbones=BACKBONES),
    "tsm": Method(tsm, backbones=BACKBONES),
    "tin": Method(tin, backbones=BACKBONES),
}
