"""The 3-D half of ECO: stages 3 to 5 of a ResNet-18 whose kernels are 3x3x3 (Zolfaghari et al., ECCV 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.bninception import init_xavier
from interlace.models.conv3d import Conv3d


class ResNet3dHead(nn.Module):
    """Maps of a clip (B, C, T, H, W) to one feature (B, 512).

    Time is halved twice, like the picture: 16 x 28 x 28, 8 x 14 x 14, 4 x 7 x 7.

    Args:
        in_channels: maps of each frame (C).

    Source: table 1 of the paper's supplement and the released Caffe network, where a norm and an activation stand
    before each block rather than behind (He et al. 2016, "Identity Mappings"), and a 3x3x3 convolution in the
    shortcut of the blocks with a stride.

    Example:
        >>> import torch
        >>> from interlace.models.resnet3d_head import ResNet3dHead
        >>> ResNet3dHead(96)(torch.zeros(2, 96, 4, 8, 8)).shape
        torch.Size([2, 512])
    """

    num_features = 512

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.res3a = conv3x3x3(in_channels, 128)
        self.res3b = Residual3d(128, 128)
        self.res4a = Residual3d(128, 256, stride=2)
        self.res4b = Residual3d(256, 256)
        self.res5a = Residual3d(256, 512, stride=2)
        self.res5b = Residual3d(512, 512)
        self.norm = nn.BatchNorm3d(512)

    def forward(self, maps: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D"]:
        """Maps to the mean of the last ones over time and the picture."""
        x = self.res3b(self.res3a(maps))
        x = self.res4b(self.res4a(x))
        x = self.res5b(self.res5a(x))
        return F.relu(self.norm(x)).mean((2, 3, 4))


class Residual3d(nn.Module):
    """a = relu(norm(x)); shortcut + conv(relu(norm(conv(a)))).

    The shortcut is x, or a convolution of a where the number of channels changes.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(in_channels)
        self.conv1 = conv3x3x3(in_channels, out_channels, stride)
        self.norm2 = nn.BatchNorm3d(out_channels)
        self.conv2 = conv3x3x3(out_channels, out_channels)
        self.down = conv3x3x3(in_channels, out_channels, stride) if in_channels != out_channels else None

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D T2 H2 W2"]:
        """Maps in, maps out."""
        a = F.relu(self.norm1(x))
        shortcut = x if self.down is None else self.down(a)
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(a))))


def conv3x3x3(in_channels: int, out_channels: int, stride: int = 1) -> Conv3d:
    """With a bias, and Caffe's xavier weights."""
    conv = Conv3d(in_channels, out_channels, 3, stride, padding=1)
    init_xavier(conv)
    return conv
