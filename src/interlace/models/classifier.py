"""Clips to logits: frames through a 2-D backbone, a linear classifier on every frame, their consensus."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.temporal import AverageConsensus


class VideoClassifier(nn.Module):
    """A 2-D network that recognises clips of `num_segments` frames.

    Args:
        backbone: frames (B*T, C, H, W) to features (B*T, D).
        num_features: D.
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        dropout: probability of dropping a feature before the classifier.
        in_chans: channels of a frame.
        mean: what preprocessing subtracts from each channel of frames in 0..1.
        std: what it then divides by.
        builder: name with which :func:`interlace.create_model` builds this network.
        builder_args: and its keyword arguments, without the initial weights.

    Example:
        >>> import torch, interlace
        >>> model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4)
        >>> model.forward_features(torch.zeros(2, 4, 3, 64, 64)).shape
        torch.Size([2, 4, 512])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        num_segments: int,
        dropout: float,
        in_chans: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        builder: str,
        builder_args: dict[str, Any],
    ) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.mean = mean
        self.std = std
        self.builder = builder
        self.builder_args = builder_args
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(num_features, num_classes)
        self.consensus = AverageConsensus()
        # As released by the authors of TSN: the new classifier starts near zero.
        nn.init.normal_(self.head.weight, 0.0, 0.001)
        nn.init.zeros_(self.head.bias)

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits."""
        return self.forward_head(self.forward_features(clip))

    def forward_features(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T D"]:
        """Clips to the pooled features of each frame.

        Raises:
            ValueError: the clip has another number of frames or channels than the network was built for.
        """
        if clip.shape[1] != self.num_segments:
            raise ValueError(
                f"the clip has {clip.shape[1]} frames, the network num_segments={self.num_segments}; "
                f"interlace.models.with_num_segments(model, {clip.shape[1]}) gives one for such clips"
            )
        if clip.shape[2] != self.in_chans:
            raise ValueError(
                f"the frames have {clip.shape[2]} channels, the network in_chans={self.in_chans}"
            )
        return frames_to_clip(self.backbone(clip_to_frames(clip)), self.num_segments)

    def forward_head(self, features: Float[Tensor, "B T D"]) -> Float[Tensor, "B K"]:
        """Features of frames to logits: classify each frame, then average."""
        return self.consensus(self.head(self.dropout(features)))
