"""What every network says of itself, so that data, training, evaluation and prediction need not know which it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.modality import Modality


class VideoModel(nn.Module):
    """Clips (B, T, C, H, W) to logits (B, K).

    Args:
        num_classes: classes (K).
        segments: frames of each part of a clip; one number for a plain clip, several for an ensemble whose
            networks see frames of their own (8 and 16). They follow each other in the clip.
        in_chans: channels of a frame, or of a snippet of frames (see :mod:`interlace.models.modality`).
        modality: what the channels are.
        mean: what preprocessing subtracts from each channel, of values in 0..1.
        std: what it then divides by.
        builder: name with which :func:`interlace.create_model` builds this network.
        builder_args: and its keyword arguments, without the initial weights.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        segments: tuple[int, ...],
        in_chans: int,
        modality: Modality,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        builder: str,
        builder_args: dict[str, Any],
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.segments = segments
        self.in_chans = in_chans
        self.modality = modality
        self.mean = mean
        self.std = std
        self.builder = builder
        self.builder_args = builder_args

    @property
    def num_segments(self) -> int:
        """Frames in a clip (T), all parts together."""
        return sum(self.segments)

    @abstractmethod
    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits."""

    @abstractmethod
    def heads(self) -> list[nn.Module]:
        """The linear classifiers, which start near zero: training may give them a higher rate (TSN)."""

    def check_clip(self, clip: Float[Tensor, "B T C H W"]) -> None:
        """ValueError if these are no clips, or have other frames or channels than the network was built for."""
        if clip.ndim != 5 or not clip.is_floating_point():
            raise ValueError(
                f"clips are (B, T, C, H, W), normalised floating point numbers; got {tuple(clip.shape)} of {clip.dtype}"
            )
        if clip.shape[0] == 0:
            raise ValueError("the batch holds no clip")
        if clip.shape[1] != self.num_segments:
            raise ValueError(
                f"the clip has {clip.shape[1]} frames, the network num_segments={self.num_segments}; "
                f"interlace.models.with_num_segments(model, {clip.shape[1]}) gives one for such clips"
            )
        if clip.shape[2] != self.in_chans:
            raise ValueError(
                f"the frames have {clip.shape[2]} channels, the network in_chans={self.in_chans} ({self.modality})"
            )
