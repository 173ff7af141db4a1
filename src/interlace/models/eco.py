"""ECO: an image network up to its middle, and a 3-D network from there (Zolfaghari, Singh and Brox, ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import frames_to_clip
from interlace.models.eco_frames import NUM_MAPS, frame_network
from interlace.models.plain import create_backbone, pretrained_cfg
from interlace.models.resnet3d_head import ResNet3dHead
from interlace.temporal import AverageConsensus

MIN_SEGMENTS = 4
"""Time is halved twice; the paper's smallest number, too."""


class ECO(nn.Module):
    """Frames (B*T, C, H, W) to one feature of each clip (B, D).

    Lite (section 3.1): D = 512 of the 3-D network. Full (section 3.2): beside it the image network goes on to its
    end (2D-Net_S), and the mean of its features over the frames is appended, D = 512 + 1024 on BNInception.

    Args:
        network: an image network: :class:`interlace.models.bninception.BNInception` or a ResNet of timm.
        num_segments: frames in a clip (T).
        full: with 2D-Net_S.

    Raises:
        ValueError: fewer than 4 frames, or another kind of network.

    Example:
        >>> import torch
        >>> from interlace.models.bninception import BNInception
        >>> from interlace.models.eco import ECO
        >>> ECO(BNInception(), num_segments=4, full=True)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 1536])
    """

    def __init__(self, network: nn.Module, *, num_segments: int, full: bool) -> None:
        super().__init__()
        if num_segments < MIN_SEGMENTS:
            raise ValueError(
                f"num_segments={num_segments}: ECO halves the number of frames twice; give it {MIN_SEGMENTS} or more"
            )
        config = pretrained_cfg(network)
        self.pretrained_cfg = {**config, "first_conv": f"frames.network.{config['first_conv']}"}
        self.num_segments = num_segments
        self.frames = frame_network(network, full=full)
        self.video = ResNet3dHead(NUM_MAPS)
        self.head_hidden_size = self.video.num_features + self.frames.num_features

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "B D"]:
        """Frames to features of clips."""
        maps, features = self.frames(frames)
        video = self.video(frames_to_clip(maps, self.num_segments).transpose(1, 2))
        if features is None:
            return video
        return torch.cat([video, frames_to_clip(features, self.num_segments).mean(1)], 1)

    def from_image_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the image network under the names here; weights of ECO stay as they are."""
        if self.own_keys() & state.keys():
            return dict(state)
        return {f"frames.{key}": value for key, value in self.frames.from_image_weights(state).items()}

    def own_keys(self) -> set[str]:
        """Names of the weights that no image network brings."""
        return {key for key in self.state_dict() if not key.startswith("frames.network.")}


def eco_lite(backbone: str, *, num_segments: int = 16, **arguments: Any) -> ECO:
    """ECO Lite.

    With ``pretrained`` the image network has its image weights. The 3-D network starts from scratch; as published
    it starts from a 3-D ResNet-18 trained on Kinetics. Published, too: all batch norms learn
    (``optim.batch_norm=train``).

    Args:
        backbone: bninception, or timm's name of a ResNet.
        num_segments: frames in a clip (T).
        arguments: pretrained, in_chans, modality and timm's, see :func:`interlace.models.plain.create_backbone`.

    Raises:
        ValueError: fewer than 4 frames, or another kind of network.

    Example:
        >>> import torch
        >>> from interlace.models.eco import eco_lite
        >>> eco_lite("bninception", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 512])
    """
    return ECO(create_backbone(backbone, **arguments), num_segments=num_segments, full=False)


def eco(backbone: str, *, num_segments: int = 16, **arguments: Any) -> ECO:
    """ECO Full: :func:`eco_lite` and, beside it, the rest of the image network.

    Example:
        >>> import torch
        >>> from interlace.models.eco import eco
        >>> eco("resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 1024])
    """
    return ECO(create_backbone(backbone, **arguments), num_segments=num_segments, full=True)


def xavier_head(
    num_features: int,
    num_classes: int,
    *,
    num_segments: int,  # noqa: ARG001 - every head is made alike
) -> tuple[nn.Module, nn.Module]:
    """A linear classifier of the clip that starts as published, and the consensus of its one feature: itself."""
    head = nn.Linear(num_features, num_classes)
    nn.init.xavier_uniform_(head.weight)
    nn.init.zeros_(head.bias)
    return head, AverageConsensus()
