"""The temporal shift as slices put together anew: nothing is written in place, which exporters get wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.temporal import TemporalShift
from interlace.temporal.stream import Passage, State


class SlicedShift(nn.Module):
    """:class:`interlace.temporal.TemporalShift`, bidirectional and causal.

    A stream gives its state in the full size of the maps.

    Example:
        >>> import torch
        >>> from interlace.export.shift_slices import SlicedShift
        >>> from interlace.temporal import TemporalShift
        >>> module, frames = TemporalShift(16, num_segments=4), torch.randn(8, 16, 5, 7)
        >>> torch.equal(SlicedShift(module)(frames), module(frames))
        True
    """

    def __init__(self, module: TemporalShift) -> None:
        super().__init__()
        self.num_segments, self.mode = module.num_segments, module.mode
        self.fold = module.channels // module.fold_div
        self.init_state, self.state_names = module.init_state, module.state_names
        self.look_back = module.look_back  # not in a graph: for who runs this as a network
        self.passage: Passage | None = None

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        if self.passage is not None:
            return self.passage(self, frames)
        clip = frames_to_clip(frames, self.num_segments)
        if self.mode == "causal":
            parts = [_later(clip[:, :, : self.fold]), clip[:, :, self.fold :]]
        else:
            first, second, others = clip.tensor_split((self.fold, 2 * self.fold), 2)
            parts = [_earlier(first), _later(second), others]
        return clip_to_frames(torch.cat(parts, 2))

    def go_on(
        self, clip: Float[Tensor, "B T C H W"], state: State
    ) -> tuple[Float[Tensor, "B T C H W"], State]:
        """Causal: the frames after the one that the state remembers, and the state after them."""
        (past,) = state
        moved = torch.cat([past.unsqueeze(1), clip[:, :, : self.fold]], 1)
        return torch.cat([moved[:, :-1], clip[:, :, self.fold :]], 2), (clip[:, -1, : self.fold],)


def _earlier(clip: Tensor) -> Tensor:
    """Frame t shows what t + 1 showed; the last one is zero."""
    return F.pad(clip[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))


def _later(clip: Tensor) -> Tensor:
    """Frame t shows what t - 1 showed; the first one is zero."""
    return F.pad(clip[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
