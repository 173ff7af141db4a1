"""Clips to logits: frames through a network, a classifier on what it says of them, their consensus."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.models.modality import Modality
from interlace.models.model import VideoModel


class VideoClassifier(VideoModel):
    """A network that recognises clips of `num_segments` frames.

    Args:
        backbone: frames (B*T, C, H, W) to features (B*T', D); T' is T for a 2-D network, T/2 behind a temporal
            pool, 1 where the network itself has put the frames together.
        head: a feature to what it says: (B, T', D) to (B, T', E).
        consensus: and that to logits: (B, T', E) to (B, K).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        dropout: probability of dropping a feature before the classifier.
        in_chans, modality, mean, std, builder, builder_args: see :class:`interlace.models.VideoModel`.

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
        head: nn.Module,
        consensus: nn.Module,
        num_classes: int,
        num_segments: int,
        dropout: float,
        in_chans: int,
        modality: Modality = "rgb",
        mean: tuple[float, ...],
        std: tuple[float, ...],
        builder: str,
        builder_args: dict[str, Any],
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            segments=(num_segments,),
            in_chans=in_chans,
            modality=modality,
            mean=mean,
            std=std,
            builder=builder,
            builder_args=builder_args,
        )
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.consensus = consensus

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits."""
        return self.forward_head(self.forward_features(clip))

    def forward_features(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T2 D"]:
        """Clips to the pooled features of each frame.

        Raises:
            ValueError: the clip has another number of frames or channels than the network was built for.
        """
        self.check_clip(clip)
        features = self.backbone(clip_to_frames(clip))
        return frames_to_clip(features, features.shape[0] // clip.shape[0])

    def forward_head(self, features: Float[Tensor, "B T2 D"]) -> Float[Tensor, "B K"]:
        """Features of frames to logits: classify each frame, then put them together."""
        return self.consensus(self.head(self.dropout(features)))

    def heads(self) -> list[nn.Module]:
        """The linear classifier; none where relations follow it, which were published without a rate of their own."""
        has_relations = any(True for _ in self.consensus.parameters())
        return [] if has_relations else [self.head]


def linear_head(num_features: int, num_outputs: int) -> nn.Linear:
    """A new classifier that starts near zero, as released by the authors of TSN."""
    head = nn.Linear(num_features, num_outputs)
    nn.init.normal_(head.weight, 0.0, 0.001)
    nn.init.zeros_(head.bias)
    return head
