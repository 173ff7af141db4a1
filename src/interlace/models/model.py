"""What every network says of itself, so that data, training, evaluation and prediction need not know which it is."""

# ruff: noqa: ARG002 - what a network that cannot stream is asked for, it does not look at
from __future__ import annotations

from abc import abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.modality import Modality
from interlace.temporal.stream import State


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

    @property
    def streams(self) -> bool:
        """Whether frames may come one by one (:meth:`step`): what it says of one depends on none after it."""
        return False

    def init_state(self, batch: int, image_size: int | tuple[int, int] | None = None) -> State:
        """What is remembered before the first frame of a stream: plain tensors, zeros.

        Args:
            batch: streams that are seen at the same time (B).
            image_size: of the frames; the tensors then have the shapes that they keep. By default maps have one pixel,
                which fits frames of any size.

        Raises:
            ValueError: the network looks at frames that have not come yet, or a number is below 1.
        """
        raise ValueError(self._no_stream())

    def step(self, frame: Float[Tensor, "B C H W"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """The next frame of each stream to its logits, and what to remember of it.

        Raises:
            ValueError: as :meth:`init_state`, or the frame or the state does not fit the network.
        """
        raise ValueError(self._no_stream())

    def state_names(self) -> tuple[str, ...]:
        """One for each tensor of the state, e.g. ``layer1.0.conv1.past1``.

        Raises:
            ValueError: as :meth:`init_state`.
        """
        raise ValueError(self._no_stream())

    def forward_frames(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T K"]:
        """Clips of any length to the logits of each frame: what :meth:`step` gives frame by frame, at once.

        Raises:
            ValueError: as :meth:`init_state`, or the clip has other channels than the network was built for.
        """
        raise ValueError(self._no_stream())

    def _no_stream(self) -> str:
        return (
            f"{self.builder} sees a clip as a whole, its frames cannot come one by one; causal networks can: "
            "tsm_causal_*, tin_causal_*, and tsn_*, which sees each frame by itself"
        )

    def check_clip(self, clip: Float[Tensor, "B T C H W"]) -> None:
        """ValueError if these are no clips, or have other frames or channels than the network was built for."""
        self._check_kind(clip)
        if clip.shape[1] != self.num_segments:
            raise ValueError(
                f"the clip has {clip.shape[1]} frames, the network num_segments={self.num_segments}; "
                f"interlace.models.with_num_segments(model, {clip.shape[1]}) gives one for such clips"
            )
        self._check_channels(clip)

    def check_frames(self, clip: Float[Tensor, "B T C H W"]) -> None:
        """The same for frames of a stream, of which any number may come at once."""
        self._check_kind(clip)
        if clip.shape[1] == 0:
            raise ValueError("the clip holds no frame")
        self._check_channels(clip)

    def _check_kind(self, clip: Tensor) -> None:
        if clip.ndim != 5 or not clip.is_floating_point():
            raise ValueError(
                f"clips are (B, T, C, H, W), normalised floating point numbers; got {tuple(clip.shape)} of {clip.dtype}"
            )
        if clip.shape[0] == 0:
            raise ValueError("the batch holds no clip")

    def _check_channels(self, clip: Tensor) -> None:
        if clip.shape[2] != self.in_chans:
            raise ValueError(
                f"the frames have {clip.shape[2]} channels, the network in_chans={self.in_chans} ({self.modality})"
            )
