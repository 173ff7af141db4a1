"""BNInception: GoogLeNet with batch norm (Ioffe and Szegedy, ICML 2015), in the form that TSN was published with.

timm has Inception v3 and v4 and torchvision GoogLeNet (v1), which are other networks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.bninception_weights import CLASSIFIERS, URL, from_published

Pool = Callable[[Tensor], Tensor]


class BNInception(nn.Module):
    """Frames (B*T, C, H, W) to pooled features (B*T, 1024).

    It has timm's attributes ``pretrained_cfg`` and ``head_hidden_size``. The published weights see 0..255 less the
    mean of ImageNet; in ``pretrained_cfg`` this is said for 0..1, hence a deviation of 1/255.

    Args:
        in_chans: channels of a frame.

    Source: Ioffe and Szegedy 2015, figure 5, with the changes of Caffe's BNInception as released with TSN: no
    convolution of the pooled branch where the stride is 2; the maximum in place of the mean in 5b.

    Example:
        >>> import torch
        >>> from interlace.models.bninception import BNInception
        >>> BNInception()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1024])
    """

    head_hidden_size = 1024

    def __init__(self, in_chans: int = 3) -> None:
        super().__init__()
        self.pretrained_cfg: dict[str, Any] = {
            "architecture": "bninception",
            "url": URL,
            "input_size": (3, 224, 224),
            "mean": (128 / 255, 117 / 255, 104 / 255),
            "std": (1 / 255, 1 / 255, 1 / 255),
            "first_conv": "conv1.conv",
            "classifier": CLASSIFIERS,
        }
        self.conv1 = conv_norm(in_chans, 64, 7, stride=2)
        self.conv2_reduce = conv_norm(64, 64, 1)
        self.conv2 = conv_norm(64, 192, 3)
        self.inception_3a = Inception(192, 64, three=(64, 64), three_twice=(64, 96), pooled=32)
        self.inception_3b = Inception(256, 64, three=(64, 96), three_twice=(64, 96), pooled=64)
        self.inception_3c = Reduction(320, three=(128, 160), three_twice=(64, 96))
        self.inception_4a = Inception(576, 224, three=(64, 96), three_twice=(96, 128), pooled=128)
        self.inception_4b = Inception(576, 192, three=(96, 128), three_twice=(96, 128), pooled=128)
        self.inception_4c = Inception(576, 160, three=(128, 160), three_twice=(128, 160), pooled=128)
        self.inception_4d = Inception(608, 96, three=(128, 192), three_twice=(160, 192), pooled=128)
        self.inception_4e = Reduction(608, three=(128, 192), three_twice=(192, 256))
        self.inception_5a = Inception(1056, 352, three=(192, 320), three_twice=(160, 224), pooled=128)
        self.inception_5b = Inception(
            1024, 352, three=(192, 320), three_twice=(192, 224), pooled=128, pool=max_pool
        )

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D"]:
        """Frames to pooled features."""
        return self.pool(self.forward_features(frames))

    def forward_features(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H2 W2"]:
        """Frames to the last maps, 1024 x 7 x 7 of 224 x 224 pixels."""
        return self.late(self.inception_3c(self.early(frames)))

    def early(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H2 W2"]:
        """Frames to what inception 3c sees, 320 x 28 x 28."""
        x = halved(self.conv1(frames))
        x = halved(self.conv2(self.conv2_reduce(x)))
        return self.inception_3b(self.inception_3a(x))

    def late(self, x: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H2 W2"]:
        """Maps of inception 3c, 576 x 14 x 14, to the last ones."""
        x = self.inception_4d(self.inception_4c(self.inception_4b(self.inception_4a(x))))
        return self.inception_5b(self.inception_5a(self.inception_4e(x)))

    def pool(self, maps: Float[Tensor, "BT D H W"]) -> Float[Tensor, "BT D"]:
        """The mean over the picture."""
        return maps.mean((2, 3))

    def from_image_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our names for the published weights, RGB for their BGR, without the classifier; ours stay as they are."""
        return from_published(state)


def halved(x: Tensor) -> Tensor:
    """The maximum of 3x3 pixels, every second one; the last window may hang over the border, as in Caffe."""
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def mean_pool(x: Tensor) -> Tensor:
    """The mean of 3x3 pixels; those beyond the border count as zeros, as in Caffe."""
    return F.avg_pool2d(x, 3, 1, padding=1)


def max_pool(x: Tensor) -> Tensor:
    """The maximum of 3x3 pixels."""
    return F.max_pool2d(x, 3, 1, padding=1)


def conv_norm(in_channels: int, out_channels: int, size: int, stride: int = 1) -> nn.Sequential:
    """relu(norm(conv(x))), the convolution with a bias, as published."""
    conv = nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2)
    init_xavier(conv)
    # The momentum 0.9 of other ports is Caffe's share of the old mean; torch's is that of the new one, 0.1.
    norm = nn.BatchNorm2d(out_channels)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm, act=nn.ReLU(inplace=True)))


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1, 3x3; 1x1, 3x3, 3x3; pool, 1x1.

    Args:
        in_channels: of what all branches see.
        one: channels of the first branch.
        three: of the second: inside, out.
        three_twice: of the third: inside, out.
        pooled: of the fourth.
        pool: its pool, of 3x3 pixels.
    """

    def __init__(
        self, in_channels: int, one: int, *, three: tuple[int, int], three_twice: tuple[int, int], pooled: int,
        pool: Pool = mean_pool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.one = conv_norm(in_channels, one, 1)
        self.three = three_by_three(in_channels, *three)
        self.three_twice = three_by_three_twice(in_channels, *three_twice)
        self.pool = pool
        self.pooled = conv_norm(in_channels, pooled, 1)

    def forward(self, x: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H W"]:
        """Maps in, those of the branches behind each other out."""
        return torch.cat([self.one(x), self.three(x), self.three_twice(x), self.pooled(self.pool(x))], 1)


class Reduction(nn.Module):
    """Three branches that halve the picture: 1x1, 3x3; 1x1, 3x3, 3x3; pool.

    Of 2n + 1 rows the convolutions make n + 1 and the published pool n, so that the published network takes no
    pictures of 240 pixels; here the pool has one window more there.
    """

    def __init__(self, in_channels: int, *, three: tuple[int, int], three_twice: tuple[int, int]) -> None:
        super().__init__()
        self.three = three_by_three(in_channels, *three, stride=2)
        self.three_twice = three_by_three_twice(in_channels, *three_twice, stride=2)

    def forward(self, x: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H2 W2"]:
        """Maps in, half as high and wide out."""
        return self.after_middle(x, self.middle(x))

    def middle(self, x: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT D H W"]:
        """What the branch of two 3x3 has before its stride: 96 x 28 x 28 in 3c, which ECO takes."""
        return self.three_twice[1](self.three_twice[0](x))

    def after_middle(
        self, x: Float[Tensor, "BT C H W"], middle: Float[Tensor, "BT D H W"]
    ) -> Float[Tensor, "BT E H2 W2"]:
        """The rest of the forward."""
        height, width = x.shape[2:]
        even = F.pad(x, (0, width % 2, 0, height % 2))  # zeros are no maximum: x is what activations gave
        return torch.cat([self.three(x), self.three_twice[2](middle), halved(even)], 1)


def three_by_three(in_channels: int, reduced: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """1x1 to fewer channels, then 3x3."""
    return nn.Sequential(conv_norm(in_channels, reduced, 1), conv_norm(reduced, out_channels, 3, stride))


def three_by_three_twice(in_channels: int, reduced: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """1x1 to fewer channels, then 3x3 twice: the sight of 5x5."""
    first, second = conv_norm(reduced, out_channels, 3), conv_norm(out_channels, out_channels, 3, stride)
    return nn.Sequential(conv_norm(in_channels, reduced, 1), first, second)


def init_xavier(conv: nn.Conv2d | nn.Conv3d) -> None:
    """Caffe's "xavier": uniform, of variance 1 / (inputs of an output); the biases are zero."""
    nn.init.kaiming_uniform_(conv.weight, nonlinearity="linear")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
