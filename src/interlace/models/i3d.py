"""I3D: an image ResNet whose convolutions span frames, in the form of the papers' tables and in the lighter one.

Sources: Carreira & Zisserman (CVPR 2017) inflate image networks. The ResNet-50 of the tables (32 frames, 153 GMAC)
is that of Wang & Gupta, "Videos as Space-Time Region Graphs" (ECCV 2018), table 1, with non-local blocks as in
Wang et al., "Non-local Neural Networks" (CVPR 2018), section 4. The lighter form is the ResNet-50 I3D of MMAction2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from jaxtyping import Float
from timm.models import resnet
from torch import Tensor, nn

from interlace.layout import frames_to_clip
from interlace.models.inflate import SUPPORTED, inflate, inflate_weight
from interlace.models.non_local import insert_non_local
from interlace.models.plain import check_plain_head, create_backbone, pretrained_cfg
from interlace.temporal import NonLocalBlock
from interlace.temporal.non_local import Similarity

Network = TypeVar("Network", bound=nn.Module)

STEM = ("conv1", "bn1", "act1", "maxpool")
STAGES = ("layer1", "layer2", "layer3", "layer4")
SPAN_OF_FIRST_CONV = 5
SPAN = 3


@dataclass(frozen=True)
class Form:
    """Where the frames, and the pictures, become fewer; behind the first stage a pool always halves the frames."""

    first_conv: int
    """Temporal stride of the first convolution."""
    first_pool: int
    """Temporal stride of the first pool, which looks at one frame only: 2 leaves out every second one."""
    last_stage: int
    """Spatial stride of the last stage."""


OF_THE_TABLES = Form(first_conv=1, first_pool=1, last_stage=1)
LIGHT = Form(first_conv=2, first_pool=2, last_stage=2)


class I3D(nn.Module):
    """An inflated timm ResNet: frames (B*T, C, H, W) to one feature for each clip (B, D).

    It takes the parts of a 2-D network over, and keeps the names of their parameters: `layer1.0.conv1.weight`.

    Args:
        network: timm's ResNet; it is changed.
        num_segments: frames in a clip (T).
        form: strides.

    Raises:
        ValueError: the network is not a ResNet, has layers that have no 3-D form here, or a head of its own.
    """

    def __init__(self, network: nn.Module, *, num_segments: int, form: Form) -> None:
        super().__init__()
        if not isinstance(network, resnet.ResNet):
            raise ValueError(f"a {type(network).__name__} cannot become an I3D; supported are {SUPPORTED}")
        check_plain_head(network)
        self.pretrained_cfg = pretrained_cfg(network)
        self.head_hidden_size = int(network.head_hidden_size)
        self.num_segments = num_segments
        first_conv = self.pretrained_cfg["first_conv"]
        if form.last_stage == 1:
            _keep_size(network.get_submodule("layer4"))
        inflate(
            network,
            spans={first_conv: SPAN_OF_FIRST_CONV, **dict.fromkeys(_inflated_convs(network), SPAN)},
            strides={first_conv: form.first_conv, "maxpool": form.first_pool},
        )
        part = network.get_submodule
        self.conv1, self.bn1, self.act1, self.maxpool = (part(layer) for layer in STEM)
        self.layer1, self.layer2, self.layer3, self.layer4 = (part(stage) for stage in STAGES)
        # An odd frame at the end is kept, so that no clip is too short.
        self.temporal_pool = nn.MaxPool3d((2, 1, 1), (2, 1, 1), ceil_mode=True)
        self._image_keys = frozenset(self.state_dict())

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "B D"]:
        """Frames of clips to a feature for each clip, the mean over time and space."""
        return self.forward_features(frames).mean((2, 3, 4))

    def forward_features(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "B D T2 H2 W2"]:
        """Frames of clips to what the last stage says."""
        x = frames_to_clip(frames, self.num_segments).transpose(1, 2)  # (B*T, C, H, W) -> (B, C, T, H, W)
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        x = self.temporal_pool(self.layer1(x))
        return self.layer4(self.layer3(self.layer2(x)))

    def from_image_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the 2-D network, its kernels repeated along time; those that are 3-D already stay."""
        own = self.state_dict()
        return {
            key: inflate_weight(value, own[key].shape[2])
            if value.ndim == 4 and key in own and own[key].ndim == 5
            else value
            for key, value in state.items()
        }

    def own_keys(self) -> set[str]:
        """Names of the weights that no image network has; none in a plain I3D."""
        return self.state_dict().keys() - self._image_keys


def i3d(backbone: str, *, num_segments: int = 32, **arguments: Any) -> I3D:
    """I3D as in the papers' tables: 152.5 GMAC and 27.58 M parameters with ResNet-50, 32 frames, 174 classes.

    The first convolution spans 5 frames. In the stages of 3, 4, 6, 3 bottleneck blocks the first convolution
    (1x1, now 3x1x1) of the blocks {0, 1, 2}, {0, 2}, {0, 2, 4} and {1} spans 3, and likewise in deeper networks:
    every block of the first stage, every second one of the others, in the last stage from the second on.
    Basic blocks (ResNet-18), of which the papers do not speak, begin with a 3x3 convolution; it is 3x3x3 then.
    A max pool behind the first stage halves the frames; the last stage keeps the size of its pictures.

    Args:
        backbone: timm's name of a ResNet.
        num_segments: frames in a clip (T); any number will do.
        arguments: pretrained, in_chans, modality and timm's, see :func:`interlace.models.plain.create_backbone`.

    Example:
        >>> import torch
        >>> from interlace.models.i3d import i3d
        >>> network = i3d("resnet18", num_segments=4)
        >>> network(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 512])
        >>> network.forward_features(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 512, 2, 4, 4])
    """
    return I3D(create_backbone(backbone, **arguments), num_segments=num_segments, form=OF_THE_TABLES)


def i3d_light(backbone: str, *, num_segments: int = 32, **arguments: Any) -> I3D:
    """The lighter I3D of open code: 33.1 GMAC with ResNet-50 and 32 frames, and the same parameters.

    As :func:`i3d`, but the first convolution and the first pool have temporal stride 2 each, so that the features
    have an eighth of the frames, and the last stage has spatial stride 2, as in the image network.

    Example:
        >>> import torch
        >>> from interlace.models.i3d import i3d_light
        >>> i3d_light("resnet18", num_segments=16).forward_features(torch.zeros(32, 3, 64, 64)).shape
        torch.Size([2, 512, 2, 2, 2])
    """
    return I3D(create_backbone(backbone, **arguments), num_segments=num_segments, form=LIGHT)


def i3d_nl(backbone: str, *, similarity: Similarity = "embedded_gaussian", **arguments: Any) -> I3D:
    """:func:`i3d` with five non-local blocks, see :func:`insert_five_non_local`.

    Example:
        >>> import torch
        >>> from interlace.models.i3d import i3d_nl
        >>> i3d_nl("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 512])
    """
    return insert_five_non_local(i3d(backbone, **arguments), similarity)


def i3d_light_nl(backbone: str, *, similarity: Similarity = "embedded_gaussian", **arguments: Any) -> I3D:
    """:func:`i3d_light` with five non-local blocks, see :func:`insert_five_non_local`.

    Example:
        >>> import torch
        >>> from interlace.models.i3d import i3d_light_nl
        >>> i3d_light_nl("resnet18", num_segments=8)(torch.zeros(16, 3, 64, 64)).shape
        torch.Size([2, 512])
    """
    return insert_five_non_local(i3d_light(backbone, **arguments), similarity)


def insert_five_non_local(network: Network, similarity: Similarity) -> Network:
    """Put non-local blocks behind two blocks of the second stage and three of the third, evenly.

    In ResNet-50 they stand behind layer2.1, layer2.3, layer3.1, layer3.3 and layer3.5, in ResNet-101 in the third
    stage behind every seventh block, as in the authors' code. A stage with fewer blocks has one behind each.

    Example:
        >>> from interlace.models.i3d import i3d_nl
        >>> [name for name, _ in i3d_nl("resnet34").layer3.named_children() if "non_local" in name]
        ['non_local1', 'non_local3', 'non_local5']
    """
    places = []
    for stage, wanted in (("layer2", 2), ("layer3", 3)):
        num_blocks = sum(name.isdecimal() for name, _ in network.get_submodule(stage).named_children())
        every = max(1, num_blocks // wanted)
        places += [f"{stage}.{block}" for block in range(every - 1, num_blocks, every)[:wanted]]
    insert_non_local(network, partial(NonLocalBlock, similarity=similarity), places)
    return network


def _inflated_convs(network: nn.Module) -> Iterator[str]:
    """The first convolutions of those blocks that look at neighboring frames."""
    for stage, (first, every) in zip(STAGES, ((0, 1), (0, 2), (0, 2), (1, 2)), strict=True):
        for block in range(len(list(network.get_submodule(stage).children())))[first::every]:
            yield f"{stage}.{block}.conv1"


def _keep_size(stage: nn.Module) -> None:
    """Let a stage of a 2-D network give as many pixels as it gets."""
    for name, layer in list(stage.named_modules()):
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
        elif isinstance(layer, nn.AvgPool2d):  # before the convolution of a shortcut, in ResNet-D
            stage.set_submodule(name, nn.Identity())
