"""I3D ResNet-50, inflated from the 2-D network, as the papers compare with it: 32 frames, 152.5 GMAC.

The first convolution has temporal stride 1 and the first pool none; a temporal pool halves the frames behind the
first stage; the last stage keeps its spatial size. The first 1x1 convolution of some blocks is 3x1x1.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
INFLATED = ({0, 1, 2}, {0, 2}, {0, 2, 4}, {1})
"""Blocks of each stage whose first convolution spans three frames."""
STRIDES = (1, 2, 2, 1)


class Bottleneck3d(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int, inflated: bool) -> None:
        super().__init__()
        frames = 3 if inflated else 1
        self.conv1 = nn.Conv3d(in_channels, width, (frames, 1, 1), padding=(frames // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.downsample = None
        if stride != 1 or in_channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, 4 * width, 1, (1, stride, stride), bias=False),
                nn.BatchNorm3d(4 * width),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out, inplace=True)


class I3D(nn.Module):
    """Clips (B, T, 3, H, W) to logits (B, K)."""

    def __init__(self, num_classes: int = 174) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, (5, 7, 7), (1, 2, 2), padding=(2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        stages, channels = [], 64
        for stage, number in enumerate(BLOCKS):
            blocks = []
            for block in range(number):
                stride = STRIDES[stage] if block == 0 else 1
                blocks.append(Bottleneck3d(channels, 64 * 2**stage, stride, block in INFLATED[stage]))
                channels = 4 * 64 * 2**stage
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.head = nn.Linear(channels, num_classes)

    def forward(self, clip: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(clip.transpose(1, 2))), inplace=True)
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        x = F.max_pool3d(self.layer1(x), (2, 1, 1), (2, 1, 1))
        x = self.layer4(self.layer3(self.layer2(x)))
        return self.head(x.mean((2, 3, 4)))
