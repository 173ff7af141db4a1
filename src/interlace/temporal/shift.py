"""Temporal Shift Module (Lin et al., ICCV 2019). It has no parameters."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.ops import temporal_shift
from interlace.ops.look_back import delayed, latest
from interlace.ops.look_back_conv import LookBack
from interlace.ops.shift import whole_frames
from interlace.temporal.displacement import Displacement
from interlace.temporal.stream import Passage, State, fitting, put_before


class TemporalShift(nn.Module):
    """Shift the first folds of channels by one frame.

    In residual position it stands before the first convolution of a block's residual branch, so that the
    identity path keeps every frame as it is; in place it stands before the whole block. The causal one can go on
    where the last frames ended (:mod:`interlace.temporal.stream`); it then remembers one fold of the last frame.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T).
        fold_div: one fold is channels // fold_div.
        mode: bidirectional, or causal (the past only).

    Raises:
        ValueError: fold_div leaves no channel to shift or asks for more than there are, or the mode is unknown.

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalShift
        >>> TemporalShift(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        fold_div: int = 8,
        mode: Literal["bidirectional", "causal"] = "bidirectional",
    ) -> None:
        super().__init__()
        if mode not in ("bidirectional", "causal"):
            raise ValueError(f"mode {mode!r} is unknown; it is 'bidirectional' or 'causal'")
        if fold_div > channels:
            raise ValueError(f"{channels} channels // fold_div={fold_div} leaves no channel to shift")
        if fold_div < (2 if mode == "bidirectional" else 1):
            raise ValueError(
                f"fold_div={fold_div} shifts more channels than there are; it is at least 2 (causal: 1)"
            )
        self.channels = channels
        self.num_segments = num_segments
        self.fold_div = fold_div
        self.mode: Literal["bidirectional", "causal"] = mode
        self.passage: Passage | None = None

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        if self.passage is not None:
            return self.passage(self, frames)
        clip = frames_to_clip(frames, self.num_segments)
        return clip_to_frames(temporal_shift(clip, self.fold_div, self.mode))

    def displacement(self, frames: Float[Tensor, "BT C H W"]) -> Displacement:
        """The clip, and by how much to move the groups of its first channels: by a frame."""
        clip = frames_to_clip(frames, self.num_segments)
        folds = 2 if self.mode == "bidirectional" else 1
        return Displacement(
            clip, whole_frames(self.mode, clip), None, folds * (self.channels // self.fold_div)
        )

    def go_on(
        self, clip: Float[Tensor, "B T C H W"], state: State
    ) -> tuple[Float[Tensor, "B T C H W"], State]:
        """Causal: the frames after those that the state remembers, and the state after them."""
        fold = self.channels // self.fold_div
        u = clip[:, :, :fold]
        past = [fitting(frame, u) for frame in state]
        return put_before(delayed(u, past, 1), clip[:, :, fold:]), latest(u, past)

    def look_back(self, clip: Float[Tensor, "B 1 C H W"], state: State) -> tuple[LookBack, State]:
        """Causal: the fold of one frame is that of the last one."""
        fold = self.channels // self.fold_div
        u = clip[:, :, :fold]
        past = tuple(fitting(frame, u) for frame in state)
        back = clip.new_ones(clip.shape[0], 1, dtype=torch.float32)
        return LookBack(clip, past, back, back.unsqueeze(1), fold), latest(u, past)

    def init_state(self, batch: int, dtype: torch.dtype, device: torch.device) -> State:
        """Causal: zeros, as nothing was before the first frame."""
        return (torch.zeros(batch, self.channels // self.fold_div, 1, 1, dtype=dtype, device=device),)

    def state_names(self) -> tuple[str, ...]:
        """Causal: the fold of the last frame."""
        return ("past1",)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.channels}, num_segments={self.num_segments}, fold_div={self.fold_div}, mode={self.mode!r}"
        )
