"""Convolutions along time: what TIN is for given offsets (r-TCN, the paper's "Analysis"), and a free one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.temporal.displacement import Displacement, fold_of
from interlace.temporal.interlace import TemporalInterlace


def convolve_time(
    clip: Float[Tensor, "B T F H W"], kernel: Float[Tensor, "F K"]
) -> Float[Tensor, "B T F H W"]:
    """Convolve each channel along time with its own kernel; frames outside the clip are zero (equation 6).

    ``out[t, f] = sum_s kernel[f, s] * clip[t + s, f]`` for s in -(K // 2) .. K // 2, the paper's slice S; K is
    odd, and the first tap reads farthest into the past.

    Example:
        >>> import torch
        >>> from interlace.temporal.temporal_conv import convolve_time
        >>> clip = torch.arange(1.0, 5.0).reshape(1, 4, 1, 1, 1)
        >>> convolve_time(clip, torch.tensor([[1.0, 0.0, 0.0]])).flatten()
        tensor([0., 1., 2., 3.])
    """
    height, width = clip.shape[-2:]
    rows = clip.transpose(1, 2).flatten(3)  # (B, T, F, H, W) -> (B, F, T, H*W)
    moved = F.conv2d(
        rows,
        kernel[:, None, :, None].to(rows.dtype),
        padding=(kernel.shape[1] // 2, 0),
        groups=kernel.shape[0],
    )
    return moved.unflatten(3, (height, width)).transpose(1, 2)  # (B, F, T, H*W) -> (B, T, F, H, W)


def two_tap_kernel(offset: Float[Tensor, " G"], reach: int) -> Float[Tensor, "G K"]:
    """The kernel of each offset: two neighbouring taps, zeros elsewhere (equations 9 and 10, without w).

    A positive offset delays here: delay k = floor(offset) has the factor k + 1 - offset, delay k + 1 has
    offset - k. The paper reads t + O, so its O is -offset, its n0 is -(k + 1), and the slice S' = [n0, n0 + 1]
    has the same two taps with the same factors. At an integer the gradient is the right derivative.

    Args:
        offset: in frames.
        reach: the kernel has the taps -reach .. reach, in the paper's order; a tap beyond it is left out.

    Example:
        >>> import torch
        >>> from interlace.temporal.temporal_conv import two_tap_kernel
        >>> two_tap_kernel(torch.tensor([0.25, -1.0]), reach=2)
        tensor([[0.0000, 0.2500, 0.7500, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.0000, 1.0000, 0.0000]])
    """
    delay = torch.arange(reach, -reach - 1, -1, device=offset.device)
    k = offset.detach().floor()[:, None]
    near, far = k + 1 - offset[:, None], offset[:, None] - k
    return near * (delay == k) + far * (delay == k + 1)


class RegularizedTemporalConv(nn.Module):
    """r-TCN: a convolution along time whose kernels have two neighbouring taps (equations 5 to 11).

    It is TIN with offsets and weights that are parameters, the same for every clip. The first
    channels // shift_div channels (the fold) are convolved, each group with its own kernel

        w'(t) = [(n0 + 1 - O) w(t), (O - n0) w(t)]  at the taps  S' = [n0, n0 + 1],

    and the others pass through. An offset may be any number; from T frames on it leaves zeros.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T); the weights are (T, num_groups).
        shift_div: one fold is channels // shift_div.
        num_groups: groups with an offset of their own.
        mirrored: as many groups again, with the opposite offsets and the same weights.
        initial_offset: offset at the start, in frames; at 1 it starts as a shift, at 0.5 channels start as the mean
            of two frames, which cost ten points in a training from scratch (docs/results.md).

    Raises:
        ValueError: the fold does not divide into the groups, or the initial offset is no finite number.

    Source: Shao et al., Temporal Interlacing Network, AAAI 2020, section "Analysis".

    Example:
        >>> import torch
        >>> from interlace.temporal.temporal_conv import RegularizedTemporalConv
        >>> RegularizedTemporalConv(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        shift_div: int = 4,
        num_groups: int = 2,
        mirrored: bool = True,
        initial_offset: float = 1.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_segments = num_segments
        self.mirrored = mirrored
        self.num_groups = num_groups * (2 if mirrored else 1)
        self.fold = fold_of(channels, shift_div, self.num_groups)
        if not math.isfinite(initial_offset):
            raise ValueError(f"initial_offset={initial_offset} must be a finite number of frames")
        self.offset = nn.Parameter(torch.full((num_groups,), float(initial_offset)))
        self.weight = nn.Parameter(torch.ones(num_segments, num_groups))

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """V[t, c] = sum over s in S' of w'(s) U[t + s, c] (equation 11)."""
        clip = frames_to_clip(frames, self.num_segments)
        size = self.fold // self.num_groups
        offset, weight = (part.repeat_interleave(size, dim=-1) for part in self.groups())
        kernel = two_tap_kernel(offset, reach=self.num_segments - 1)  # taps beyond meet zeros only
        convolved = weight[..., None, None] * convolve_time(clip[:, :, : self.fold], kernel)
        return clip_to_frames(torch.cat([convolved.to(clip.dtype), clip[:, :, self.fold :]], dim=2))

    def groups(self) -> tuple[Float[Tensor, " G"], Float[Tensor, "T G"]]:
        """Offset and weight of every group, the mirrored ones too."""
        if not self.mirrored:
            return self.offset, self.weight
        return torch.cat([self.offset, -self.offset]), torch.cat([self.weight, self.weight], dim=1)

    def displacement(self, frames: Float[Tensor, "BT C H W"]) -> Displacement:
        """The same as TIN has it: the clip, and by how much to move and weigh its groups."""
        clip = frames_to_clip(frames, self.num_segments)
        offset, weight = (part.expand(len(clip), *part.shape) for part in self.groups())
        return Displacement(clip, offset, weight, self.fold)

    @torch.no_grad()
    def resampled_state(self, num_segments: int) -> dict[str, Tensor]:
        """The parameters for clips of another length: weights interpolated along time, offsets as they are."""
        curves = self.weight.T[None]  # (T, G) -> (1, G, T)
        weight = F.interpolate(curves, size=num_segments, mode="linear", align_corners=False)[0].T
        return {**self.state_dict(), "weight": weight.contiguous()}

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.channels}, fold={self.fold}, num_segments={self.num_segments}, "
            f"num_groups={len(self.offset)}, mirrored={self.mirrored}"
        )


@torch.no_grad()
def to_temporal_conv(
    module: TemporalInterlace, offset: Float[Tensor, " G"], weight: Float[Tensor, "T G"] | None = None
) -> RegularizedTemporalConv:
    """The convolution that a TIN module is for given offsets and weights (equations 7 to 11).

    Those of one clip give the module's output for this clip, up to rounding. The means over many clips give the
    r-TCN that is nearest to what the module has learned.

    Args:
        module: says which channels are moved, and how many frames a clip has.
        offset: of every group, the mirrored ones too, in frames, as :func:`record_offsets` has them.
        weight: factor of each target frame and group; None means 1.

    Raises:
        ValueError: shapes that do not fit the module, or offsets that are not finite.

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalInterlace, record_offsets
        >>> from interlace.temporal.temporal_conv import to_temporal_conv
        >>> module = TemporalInterlace(16, num_segments=4)
        >>> frames = torch.randn(4, 16, 5, 7)
        >>> with record_offsets(module) as records:
        ...     out = module(frames)
        >>> offset, weight = records[""]
        >>> torch.allclose(to_temporal_conv(module, offset[0], weight[0])(frames), out, atol=1e-6)
        True
    """
    groups = module.weight_net.conv.out_channels * (2 if module.mirrored else 1)
    wanted = (module.num_segments, groups)
    if offset.shape != wanted[1:] or (weight is not None and weight.shape != wanted):
        raise ValueError(
            f"offset must be (G,)={wanted[1:]} and weight (T, G)={wanted} for this module, got "
            f"{tuple(offset.shape)} and {None if weight is None else tuple(weight.shape)}"
        )
    if not offset.isfinite().all():
        raise ValueError(f"offsets must be finite numbers of frames, got {offset.tolist()}")
    conv = RegularizedTemporalConv(
        module.channels,
        num_segments=module.num_segments,
        shift_div=module.channels // module.fold,  # gives the same fold again
        num_groups=groups,
        mirrored=False,
    ).to(offset)
    conv.offset.copy_(offset)
    if weight is not None:
        conv.weight.copy_(weight)
    return conv


class TemporalConv(nn.Module):
    """A free convolution along time, of the size of TIN: the same channels, and as far as its offsets reach.

    Each of the first channels // shift_div channels has its own kernel of K = 2 ceil(offset_range) + 1 taps (5),
    every one of them learned; r-TCN has two of them, tied within a group and to sum to w(t). These are
    K * fold parameters, where r-TCN has (T + 1) * num_groups, and TIN 9 fold + T^2 + 3 T + 5.

    It starts with the two taps of +-initial_offset, half of the channels each way: at 1 as a shift by one frame, as
    r-TCN and the paper's TIN do. So they begin as about the same network, which mixes time already, and a
    comparison shows what each makes of it. An identity would begin as a network of single frames.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T).
        shift_div: one fold is channels // shift_div.
        offset_range: how far the kernel reaches, in frames either way.
        initial_offset: delay of the first half of the fold at the start, in frames; the other half has -delay.

    Raises:
        ValueError: the fold is empty, or the initial offset is out of reach.

    Example:
        >>> import torch
        >>> from interlace.temporal.temporal_conv import TemporalConv
        >>> TemporalConv(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        shift_div: int = 4,
        offset_range: float = 2.0,
        initial_offset: float = 1.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_segments = num_segments
        self.fold = fold_of(channels, shift_div)
        if not abs(initial_offset) <= offset_range < math.inf:
            raise ValueError(f"initial_offset={initial_offset} must lie within +-offset_range={offset_range}")
        offset = torch.full((self.fold,), float(initial_offset))
        offset[self.fold // 2 :] *= -1
        self.kernel = nn.Parameter(two_tap_kernel(offset, reach=math.ceil(offset_range)))

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """V[t, c] = sum over s in S of w(s, c) U[t + s, c] (equation 6)."""
        clip = frames_to_clip(frames, self.num_segments)
        convolved = convolve_time(clip[:, :, : self.fold], self.kernel)
        return clip_to_frames(torch.cat([convolved.to(clip.dtype), clip[:, :, self.fold :]], dim=2))

    def extra_repr(self) -> str:
        """What `print` shows."""
        taps = self.kernel.shape[1]
        return f"{self.channels}, fold={self.fold}, num_segments={self.num_segments}, taps={taps}"
