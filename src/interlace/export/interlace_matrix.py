"""Interlace as one T x T matrix for each sample and group: standard operations that every runtime has.

    out[b, t, c] = sum_s M[b, g, t, s] * x[b, s, c],   M[b, g, t, s] = weight[b, t, g] * max(0, 1 - |t - s - offset|)

It is the definition of :func:`interlace.ops.interlace`, with offset[b, g], and of :func:`interlace.ops.look_back`, with
offset[b, t, g]. Their kernels read two of the T frames instead.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.temporal import RegularizedTemporalConv, TemporalInterlace


def interlace_matrix(
    offset: Float[Tensor, "B #T G"], weight: Float[Tensor, "B T G"], num_past: int = 0
) -> Float[Tensor, "B G T S"]:
    """How much each target frame t takes from each frame s, S = num_past + T.

    Args:
        offset: displacement of each group, in frames; positive delays. (B, 1, G) is the same for all target frames.
        weight: factor of each target frame and group.
        num_past: frames before the clip, which come first.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020, equation 4.

    Example:
        >>> import torch
        >>> from interlace.export.interlace_matrix import interlace_matrix
        >>> interlace_matrix(torch.tensor([[[0.25]]]), torch.ones(1, 3, 1))[0, 0]
        tensor([[0.7500, 0.0000, 0.0000],
                [0.2500, 0.7500, 0.0000],
                [0.0000, 0.2500, 0.7500]])
    """
    time = torch.arange(-num_past, weight.shape[1], dtype=offset.dtype, device=offset.device)
    delay = time[num_past:, None] - time  # t - s, a constant of the graph
    taps = (1 - (delay - offset.transpose(1, 2)[..., None]).abs()).clamp(min=0)
    return weight.transpose(1, 2)[..., None] * taps


def move_frames(
    frames: Float[Tensor, "BT C H W"], matrix: Float[Tensor, "#B G T T"], fold: int
) -> Float[Tensor, "BT C H W"]:
    """Mix the T frames of each clip by the matrix of each group; channels from ``fold`` on pass through.

    Args:
        frames: those of all clips, T running fastest.
        matrix: from :func:`interlace_matrix`; a first axis of 1 is for all clips.
        fold: number of channels that move, in as many consecutive groups of one size as the matrix has.

    Example:
        >>> import torch
        >>> from interlace.export.interlace_matrix import interlace_matrix, move_frames
        >>> matrix = interlace_matrix(torch.tensor([[[1.0]]]), torch.ones(1, 3, 1))
        >>> move_frames(torch.arange(1.0, 4.0).reshape(3, 1, 1, 1), matrix, fold=1).flatten()
        tensor([0., 1., 2.])
    """
    groups, T = matrix.shape[1:3]
    moved = frames[:, :fold]
    rows = moved.reshape(-1, T, groups, moved[0].numel() // groups)  # (B*T, F, H, W) -> (B, T, G, F/G*H*W)
    out = (matrix @ rows.transpose(1, 2)).transpose(1, 2).reshape(-1, *moved.shape[1:])
    return out if fold == frames.shape[1] else torch.cat([out, frames[:, fold:]], 1)


class MatrixInterlace(nn.Module):
    """:class:`interlace.temporal.TemporalInterlace` by its matrix; it takes over the two nets and their names.

    Example:
        >>> import torch
        >>> from interlace.export.interlace_matrix import MatrixInterlace
        >>> from interlace.temporal import TemporalInterlace
        >>> module, frames = TemporalInterlace(16, num_segments=4), torch.randn(8, 16, 5, 7)
        >>> torch.allclose(MatrixInterlace(module)(frames), module(frames), atol=1e-6)
        True
    """

    def __init__(self, module: TemporalInterlace) -> None:
        super().__init__()
        self.num_segments, self.fold, self.mirrored = module.num_segments, module.fold, module.mirrored
        self.offset_net = module.offset_net
        self.weight_net = module.weight_net

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        z = frames[:, : self.fold].mean((2, 3)).unflatten(0, (-1, self.num_segments)).mT  # equation 1
        offset, weight = self.offset_net(z), self.weight_net(z)  # equations 2 and 3
        if self.mirrored:
            offset, weight = torch.cat([offset, -offset], 1), torch.cat([weight, weight], 2)
        return move_frames(frames, interlace_matrix(offset[:, None], weight), self.fold)  # equation 4


class FixedInterlace(nn.Module):
    """:class:`interlace.temporal.RegularizedTemporalConv`: its offsets are the same for every clip, so is the matrix.

    Example:
        >>> import torch
        >>> from interlace.export.interlace_matrix import FixedInterlace
        >>> from interlace.temporal import RegularizedTemporalConv
        >>> FixedInterlace(RegularizedTemporalConv(16, num_segments=4)).matrix.shape
        torch.Size([1, 4, 4, 4])
    """

    matrix: Tensor

    def __init__(self, module: RegularizedTemporalConv) -> None:
        super().__init__()
        self.fold = module.fold
        offset, weight = (part.detach() for part in module.groups())
        self.register_buffer("matrix", interlace_matrix(offset[None, None], weight[None]))

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        return move_frames(frames, self.matrix, self.fold)
