"""The methods of the papers' tables: how each is built from a backbone, and the names it is listed under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from interlace.models.classifier import linear_head
from interlace.models.eco import eco, eco_lite, xavier_head
from interlace.models.i3d import i3d, i3d_light, i3d_light_nl, i3d_nl
from interlace.models.non_local import non_local
from interlace.models.region_graph import i3d_gcn, i3d_nl_gcn
from interlace.models.tcn import rtcn, tcn
from interlace.models.tin import tin, tin_paper, tin_released
from interlace.models.tin_causal import tin_causal
from interlace.models.trn import multi_scale_relations, single_relation
from interlace.models.tsm import tsm, tsm_tpool
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
    streams: bool = False
    """Whether its frames may come one by one: what it says of one depends on none after it."""
    sentence: str = ""
    """What it does, in a line."""
    of_length: Callable[[int], dict[str, Any]] = lambda num_segments: {}  # noqa: ARG005
    """Arguments that follow from the number of frames where they are not given. They are kept with the network, which
    stays what it is when it takes clips of another number."""

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


CAUSAL_BACKBONES = ("mobilenetv2_100", "resnet18", "resnet50")
RELATION_BACKBONES = ("bninception", "mobilenetv2_100", "resnet18", "resnet50")
ECO_BACKBONES = ("bninception", "resnet18", "resnet50")
METHODS: dict[str, Method] = {
    "tsn": Method(
        tsn,
        backbones=(*BACKBONES, "bninception"),
        streams=True,
        sentence="each frame by itself, and the mean of what is said of them (TSN)",
    ),
    "tsm": Method(
        tsm,
        backbones=BACKBONES,
        sentence="an eighth of the channels comes from the next frame, an eighth from the last (TSM)",
    ),
    "tin": Method(
        tin,
        backbones=BACKBONES,
        sentence="a quarter of the channels moves by offsets that the clip itself decides (TIN)",
    ),
    "tin_released": Method(
        tin_released,
        sentence="TIN as its authors released it: offsets within 2 frames that start at half a frame",
    ),
    "tin_paper": Method(
        tin_paper,
        of_length=lambda num_segments: {"offset_range": num_segments / 2},
        sentence="TIN as the text of its paper has it: offsets within half the clip that start at one frame",
    ),
    "tsn_nl": Method(partial(non_local, tsn), sentence="TSN with non-local blocks in its middle stages"),
    "tsm_nl": Method(partial(non_local, tsm), sentence="TSM with non-local blocks in its middle stages"),
    "tin_nl": Method(partial(non_local, tin), sentence="TIN with non-local blocks in its middle stages"),
    "tsm_tpool": Method(tsm_tpool, sentence="TSM whose frames are halved behind the first stage"),
    "tsm_in_place": Method(
        partial(tsm, position="in_place"),
        sentence="TSM that shifts what the shortcut carries, too: the slides' weaker form",
    ),
    # The TIN authors' own TSM, "two path": the first and the second convolution of every block.
    "tsm_two_conv": Method(
        partial(tsm, num_convs=2, every=1),
        sentence="TSM as the authors of TIN trained it: before the first and the second convolution",
    ),
    "tsm_causal": Method(
        partial(tsm, mode="causal"),
        backbones=CAUSAL_BACKBONES,
        streams=True,
        sentence="TSM that sees the past only, for video as it comes",
    ),
    "tin_causal": Method(
        tin_causal,
        backbones=CAUSAL_BACKBONES,
        streams=True,
        sentence="TIN that sees the past only: a quarter of the channels looks back by offsets of every frame",
    ),
    "trn": Method(
        tsn,
        multi_scale_relations,
        ("bottleneck", "random_tuples"),
        backbones=RELATION_BACKBONES,
        sentence="relations of 2, 3, ... all frames on top of TSN's features, added up (TRN)",
    ),
    "trn_single": Method(
        tsn,
        single_relation,
        ("bottleneck",),
        backbones=RELATION_BACKBONES,
        sentence="one relation of all frames on top of TSN's features (TRN)",
    ),
    "eco_lite": Method(
        eco_lite,
        xavier_head,
        num_segments=16,
        backbones=ECO_BACKBONES,
        sentence="2-D layers on each frame, 3-D layers on what they make of them (ECO Lite)",
    ),
    "eco": Method(
        eco,
        xavier_head,
        num_segments=16,
        backbones=ECO_BACKBONES,
        sentence="ECO Lite and a 2-D network beside its 3-D layers (ECO Full)",
    ),
    "i3d": Method(
        i3d,
        num_segments=32,
        sentence="an inflated ResNet, 3-D from the first layer, as in the papers' tables (I3D)",
    ),
    "i3d_light": Method(
        i3d_light, num_segments=32, sentence="the I3D of open code, which drops frames and pixels early"
    ),
    "i3d_nl": Method(i3d_nl, num_segments=32, sentence="I3D with non-local blocks in its middle stages"),
    "i3d_light_nl": Method(i3d_light_nl, num_segments=32, sentence="the lighter I3D with non-local blocks"),
    "i3d_gcn": Method(i3d_gcn, num_segments=32, sentence="I3D with a graph of the regions in its frames"),
    "i3d_nl_gcn": Method(
        i3d_nl_gcn,
        num_segments=32,
        sentence="I3D with non-local blocks, and a graph of the regions in its frames",
    ),
    "rtcn": Method(
        rtcn,
        sentence="the temporal convolution that equals TIN: one kernel for a group, of few free numbers (r-TCN)",
    ),
    "tcn": Method(tcn, sentence="a free temporal convolution in TIN's place, for comparison"),
}
