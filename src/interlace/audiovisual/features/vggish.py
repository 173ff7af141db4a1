"""VGGish: the network whose 128 numbers a second stand for sound in AudioSet and AVE.

Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017; its shapes are those of the
release of its authors (`vggish_slim.py`), its names those of the weights for PyTorch (torchvggish).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

VGGISH_FEATURES = 128
_LARGEST = 2.0
"""Whitened features are cut off here, on either side (`vggish_params.py`)."""


class VGGish(nn.Module):
    """Four stages of 3x3 convolutions, each halving time and pitch, and three linear layers. 72,141,184 weights.

    Args:
        ends_in_relu: as in the weights for PyTorch, and in the release of 2017 that AVE's features are from. The
            authors have taken the last ReLU off since: the features before it are what their PCA is made for.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.vggish import VGGish
        >>> with torch.device("meta"):
        ...     VGGish()(torch.zeros(10, 1, 96, 64)).shape
        torch.Size([10, 128])
    """

    def __init__(self, *, ends_in_relu: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(1, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
            nn.MaxPool2d(2),
            *_convolution(128, 256),
            *_convolution(256, 256),
            nn.MaxPool2d(2),
            *_convolution(256, 512),
            *_convolution(512, 512),
            nn.MaxPool2d(2),
        )
        self.embeddings = nn.Sequential(
            nn.Linear(6 * 4 * 512, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, VGGISH_FEATURES),
            nn.ReLU() if ends_in_relu else nn.Identity(),
        )

    def forward(self, log_mel: Float[Tensor, "N 1 96 64"]) -> Float[Tensor, "N 128"]:
        """Rows of `vggish_log_mel`, 96 windows by 64 bands, to features."""
        maps = self.features(log_mel)  # (N, 512, 6, 4)
        # TensorFlow, where the weights come from, has channels last.
        features: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return features


class Whitening(nn.Module):
    """The published processing of VGGish's features: PCA with whitening, cut off at 2, and quantised if wanted.

    Quantised, they are whole numbers from 0 to 255, as AudioSet has them: cut down to the next lower one, as its
    authors do (`vggish_postprocess.py`); torchvggish rounds to the nearest.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.vggish import Whitening
        >>> Whitening(quantized=True)(torch.full((1, 128), 0.5))[0, :3]  # without weights, PCA changes nothing
        tensor([159., 159., 159.])
    """

    pca_eigen_vectors: Tensor
    pca_means: Tensor

    def __init__(self, *, quantized: bool = False) -> None:
        super().__init__()
        self.quantized = quantized
        self.register_buffer("pca_eigen_vectors", torch.eye(VGGISH_FEATURES))
        self.register_buffer("pca_means", torch.zeros(VGGISH_FEATURES, 1))

    def forward(self, features: Float[Tensor, "N 128"]) -> Float[Tensor, "N 128"]:
        """Of the same shape; in [-2, 2], or in 0, 1, ..., 255."""
        whitened = (self.pca_eigen_vectors @ (features.T - self.pca_means)).T.clamp(-_LARGEST, _LARGEST)
        return torch.floor((whitened + _LARGEST) * (255 / (2 * _LARGEST))) if self.quantized else whitened


def _convolution(in_channels: int, channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True)
