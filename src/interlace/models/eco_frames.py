"""The 2-D half of ECO: an image network that gives 96 maps out of its middle and, if wanted, what it ends in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jaxtyping import Float
from timm.models.resnet import ResNet
from torch import Tensor, nn

from interlace.models.bninception import BNInception, conv_norm
from interlace.models.plain import check_plain_head, pretrained_cfg

NUM_MAPS = 96


class FrameNetwork(nn.Module):
    """Frames (B*T, C, H, W) to 96 maps of H/8 x W/8, and to features of frames or None.

    Args:
        network: an image network, which becomes a part of this one; what Lite does not need is taken out of it.
        full: go on to its end.
    """

    def __init__(self, network: nn.Module, *, full: bool) -> None:
        super().__init__()
        self.network = network
        self.full = full
        self.plain_keys = set(network.state_dict())

    def from_image_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the image network under the names here, without the classifier and without what Lite lacks.

        A name that the image network does not know stays, for who loads strictly to complain of.
        """
        translate = getattr(self.network, "from_image_weights", dict)
        classifier = pretrained_cfg(self.network)["classifier"]
        names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        unused = self.plain_keys - self.network.state_dict().keys()
        return {
            f"network.{key}": value
            for key, value in translate(state).items()
            if key not in unused and not key.startswith(tuple(f"{name}." for name in names))
        }


class BNInceptionFrames(FrameNetwork):
    """BNInception; the maps are those before the stride in the branch of two 3x3 of inception 3c, as published."""

    network: BNInception

    def __init__(self, network: BNInception, *, full: bool) -> None:
        super().__init__(network, full=full)
        self.num_features = network.head_hidden_size if full else 0
        if not full:
            for name in ("4a", "4b", "4c", "4d", "4e", "5a", "5b"):
                delattr(network, f"inception_{name}")
            del network.inception_3c.three, network.inception_3c.three_twice[2]

    def forward(
        self, frames: Float[Tensor, "BT C H W"]
    ) -> tuple[Float[Tensor, "BT 96 H2 W2"], Float[Tensor, "BT D"] | None]:
        """Maps, and features of frames."""
        network = self.network
        x = network.early(frames)
        maps = network.inception_3c.middle(x)
        if not self.full:
            return maps, None
        return maps, network.pool(network.late(network.inception_3c.after_middle(x, maps)))


class ResNetFrames(FrameNetwork):
    """timm's ResNet; the maps are a 1x1 convolution of what its second stage gives.

    This is ours: ECO was published on BNInception alone. The second stage is where a ResNet has 28 x 28 maps too.
    """

    network: ResNet

    def __init__(self, network: ResNet, *, full: bool) -> None:
        check_plain_head(network)
        super().__init__(network, full=full)
        self.num_features = int(network.head_hidden_size) if full else 0
        self.reduce = conv_norm(cast(int, network.feature_info[2]["num_chs"]), NUM_MAPS, 1)
        if not full:
            del network.layer3, network.layer4

    def forward(
        self, frames: Float[Tensor, "BT C H W"]
    ) -> tuple[Float[Tensor, "BT 96 H2 W2"], Float[Tensor, "BT D"] | None]:
        """Maps, and features of frames."""
        network = cast(Any, self.network)  # timm's types are not of what its parts are
        x = network.maxpool(network.act1(network.bn1(network.conv1(frames))))
        x = network.layer2(network.layer1(x))
        maps = self.reduce(x)
        if not self.full:
            return maps, None
        return maps, network.global_pool(network.layer4(network.layer3(x)))


def frame_network(network: nn.Module, *, full: bool) -> BNInceptionFrames | ResNetFrames:
    """The 2-D half of an image network.

    Raises:
        ValueError: it is neither BNInception nor a ResNet, or has a head of its own.
    """
    if isinstance(network, BNInception):
        return BNInceptionFrames(network, full=full)
    if isinstance(network, ResNet):
        return ResNetFrames(network, full=full)
    raise ValueError(
        f"ECO takes maps of 1/8 of the picture out of bninception or one of timm's ResNets, not of "
        f"{pretrained_cfg(network)['architecture']!r}; use eco_lite_bninception, for example"
    )
