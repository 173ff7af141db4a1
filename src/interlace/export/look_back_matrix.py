"""Causal TIN by its matrix: of a whole clip, or of the frames of a stream and those that it remembers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.export.interlace_matrix import interlace_matrix, move_frames
from interlace.layout import frames_to_clip
from interlace.temporal import CausalInterlace
from interlace.temporal.stream import Passage, State


class MatrixLookBack(nn.Module):
    """:class:`interlace.temporal.CausalInterlace` by its matrix; it takes over the two nets and their names.

    A stream gives its state in the full size of the maps.

    Example:
        >>> import torch
        >>> from interlace.export.look_back_matrix import MatrixLookBack
        >>> from interlace.temporal import CausalInterlace
        >>> module, frames = CausalInterlace(16, num_segments=4), torch.randn(8, 16, 5, 7)
        >>> torch.allclose(MatrixLookBack(module)(frames), module(frames), atol=1e-6)
        True
    """

    def __init__(self, module: CausalInterlace) -> None:
        super().__init__()
        self.num_segments, self.fold, self.window = module.num_segments, module.fold, module.window
        self.offset_net = module.offset_net
        self.weight_net = module.weight_net
        self.init_state, self.state_names = module.init_state, module.state_names
        self.look_back = module.look_back  # not in a graph: for who runs this as a network
        self.passage: Passage | None = None

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out; the first of a clip has nothing before it."""
        if self.passage is not None:
            return self.passage(self, frames)
        z = frames_to_clip(frames[:, : self.fold].mean((2, 3)), self.num_segments)
        offset, weight = self._offset_and_weight(F.pad(z, (0, 0, self.window - 1, 0)))
        return move_frames(frames, interlace_matrix(offset, weight), self.fold)

    def go_on(
        self, clip: Float[Tensor, "B T C H W"], state: State
    ) -> tuple[Float[Tensor, "B T C H W"], State]:
        """The frames after those that the state remembers, and the state after them."""
        *past, before = state  # the latest frame first
        moved = clip[:, :, : self.fold]
        z = torch.cat([before, moved.mean((3, 4))], 1)
        offset, weight = self._offset_and_weight(z)
        matrix = interlace_matrix(offset, weight, num_past=len(past))
        seen = torch.cat([torch.stack(past[::-1], 1), moved], 1)
        rows = seen.flatten(2).unflatten(2, (matrix.shape[1], -1))  # (B, S, F, H, W) -> (B, S, G, F/G*H*W)
        out = (matrix @ rows.transpose(1, 2)).transpose(1, 2).reshape(moved.shape)
        after = seen.unbind(1)[: -len(past) - 1 : -1]
        return torch.cat([out, clip[:, :, self.fold :]], 2), (*after, z[:, clip.shape[1] :])

    def _offset_and_weight(self, z: Float[Tensor, "B window_T F"]) -> tuple[Tensor, Tensor]:
        """Each (B, T, G), from the descriptors of each frame and those before it, side by side."""
        T = z.shape[1] - self.window + 1
        windows = torch.stack([z[:, ago : ago + T] for ago in range(self.window)], 3).flatten(2)
        return self.offset_net(windows), self.weight_net(windows)
