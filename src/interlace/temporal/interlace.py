"""Temporal Interlacing Network module (Shao et al., AAAI 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.ops import interlace
from interlace.ops.nets import displaced, has_fused_nets
from interlace.ops.pool import describe
from interlace.temporal.displacement import Displacement, fold_of, has_hooks


class OffsetNet(nn.Module):
    """One offset for each group from the descriptor of a clip (equations 2 and 3).

    fc1 and fc2 are as wide as the clip is long, so T is part of the weights.
    """

    def __init__(
        self, channels: int, num_segments: int, offset_range: float, initial_offset: Sequence[float]
    ) -> None:
        super().__init__()
        if not all(abs(start) < offset_range for start in initial_offset):
            raise ValueError(
                f"initial_offset={initial_offset} must lie within +-offset_range={offset_range}: give both, "
                "or neither (groups begin at 1, 2, ... frames unless told)"
            )
        self.offset_range = offset_range
        self.conv = nn.Conv1d(channels, 1, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(num_segments, num_segments)
        self.fc2 = nn.Linear(num_segments, len(initial_offset))
        # 0.5 of 2 frames is logit(0.625) = 0.5108, the bias with which the released code starts.
        raw = [math.log((offset_range + start) / (offset_range - start)) for start in initial_offset]
        with torch.no_grad():
            self.fc2.bias.copy_(torch.tensor(raw))

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B G"]:
        """Descriptor in, offsets in frames out, each within +-offset_range."""
        s = self.conv(z).squeeze(1)
        raw = self.fc2(F.relu(self.fc1(s)))
        return 2 * self.offset_range * (torch.sigmoid(raw) - 0.5)


class WeightNet(nn.Module):
    """One factor in (0, 2) for each frame and group; about 1 at the start, as the bias is 0."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, num_groups, kernel_size=3, padding=1)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B T G"]:
        """Descriptor in, weights out."""
        return 2 * torch.sigmoid(self.conv(z)).transpose(1, 2)


class TemporalInterlace(nn.Module):
    """Delay groups of channels by learned offsets, and weigh them frame by frame.

    The first channels // shift_div channels (the fold) are interlaced, the others pass through. By default the
    groups begin at whole frames, each at another (docs/results.md compares the forms); the released code is
    ``offset_range=2, initial_offset=0.5``, the paper's text ``offset_range=num_segments / 2, initial_offset=1``.
    The rows of its table 5 are num_groups = 1, 2, 4 with and without mirrored, with the offsets of either.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T); part of the weights of offset_net.
        shift_div: one fold is channels // shift_div.
        num_groups: groups with an offset of their own.
        mirrored: as many groups again, with the opposite offsets and the same weights.
        offset_range: largest offset, in frames either way; None is one frame more than any at the start.
        initial_offset: offset at the start, in frames, of all groups or of each; None is 1, 2, ... for one group
            after the other, and 1, -1, 2, -2, ... where they are not mirrored.

    Raises:
        ValueError: the fold does not divide into the groups, or the initial offset is out of range.

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalInterlace
        >>> TemporalInterlace(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        shift_div: int = 4,
        num_groups: int = 2,
        mirrored: bool = True,
        offset_range: float | None = None,
        initial_offset: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_segments = num_segments
        self.fold = fold_of(channels, shift_div, num_groups * (2 if mirrored else 1))
        starts = _starts(initial_offset, num_groups, mirrored)
        reach = 1 + max(map(abs, starts)) if offset_range is None else offset_range
        self.mirrored = mirrored
        self.offset_net = OffsetNet(self.fold, num_segments, reach, starts)
        self.weight_net = WeightNet(self.fold, num_groups)
        self.recorder: Callable[[tuple[Tensor, Tensor]], None] | None = None
        """Set by :func:`record_offsets` for as long as someone asks."""

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        return clip_to_frames(interlace(*self.displacement(frames)))

    def displacement(self, frames: Float[Tensor, "BT C H W"]) -> Displacement:
        """The clip, and by how much to move and weigh the groups of its first `fold` channels."""
        clip = frames_to_clip(frames, self.num_segments)
        parameters = self._parameters_of_nets()
        if parameters and has_fused_nets(clip, parameters):
            clip, offset, weight = displaced(clip, parameters, self.offset_net.offset_range, self.mirrored)
        else:
            clip, offset, weight = self._offset_and_weight(clip)
        if self.recorder is not None:
            self.recorder((offset.detach(), weight.detach()))
        return Displacement(clip, offset, weight, self.fold)

    def _offset_and_weight(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with without_autocast(clip.device.type):
            clip, z = describe(clip, self.fold, self.offset_net.fc1.weight.dtype)  # equation 1
            offset, weight = self.offset_net(z.mT), self.weight_net(z.mT)
        if self.mirrored:
            offset, weight = torch.cat([offset, -offset], 1), torch.cat([weight, weight], 2)
        return clip, offset, weight

    def _parameters_of_nets(self) -> list[Tensor]:
        """Weight and bias of each layer; nothing if the nets are others or someone looks at them."""
        if type(self.offset_net) is not OffsetNet or type(self.weight_net) is not WeightNet:
            return []
        net = self.offset_net
        layers: list[nn.Conv1d | nn.Linear] = [net.conv, net.fc1, net.fc2, self.weight_net.conv]
        if any(type(layer) not in (nn.Conv1d, nn.Linear) for layer in layers):
            return []
        if any(has_hooks(module) for module in (net, self.weight_net, *layers)):
            return []
        if any(conv.padding != (1,) or conv.stride != (1,) for conv in (net.conv, self.weight_net.conv)):
            return []
        if any(layer.bias is None for layer in layers):
            return []
        return [parameter for layer in layers for parameter in (layer.weight, layer.bias)]  # type: ignore[misc]

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.channels}, fold={self.fold}, num_segments={self.num_segments}, "
            f"num_groups={self.weight_net.conv.out_channels}, mirrored={self.mirrored}, "
            f"offset_range={self.offset_net.offset_range}"
        )

    @torch.no_grad()
    def resampled_state(self, num_segments: int) -> dict[str, Tensor]:
        """The weights for clips of another length: fc1 and fc2 resampled along time, the rest as it is.

        The descriptor of the new clip is interpolated to the old length, the old layer applied, and the
        result interpolated to the new length. Offsets go on counting frames, as in the released networks.
        """
        fc1, fc2 = self.offset_net.fc1, self.offset_net.fc2
        to_old = _interpolation(num_segments, self.num_segments).to(fc1.weight)
        to_new = _interpolation(self.num_segments, num_segments).to(fc1.weight)
        return {
            **self.state_dict(),
            "offset_net.fc1.weight": to_new @ fc1.weight @ to_old,
            "offset_net.fc1.bias": to_new @ fc1.bias,
            "offset_net.fc2.weight": fc2.weight @ to_old,
        }


def _starts(
    initial_offset: float | Sequence[float] | None, num_groups: int, mirrored: bool
) -> Sequence[float]:
    """One for each group."""
    if initial_offset is None:
        both_ways = [sign * (1.0 + group) for group in range(num_groups) for sign in (1, -1)]
        return both_ways[::2] if mirrored else both_ways[:num_groups]
    if isinstance(initial_offset, int | float):
        return [float(initial_offset)] * num_groups
    if len(initial_offset) != num_groups:
        raise ValueError(f"initial_offset={initial_offset} has not one value for each of {num_groups} groups")
    return initial_offset


def without_autocast(device_type: str) -> AbstractContextManager[Any]:
    """An offset wants more than the 8 bits of bfloat16, so the two tiny nets keep their precision."""
    # Meta, where costs are counted, has no autocast; torch.amp.is_autocast_available would be the question to
    # ask, but torch 2.11 cannot compile it.
    if device_type == "meta" or not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


def _interpolation(source: int, target: int) -> Float[Tensor, "target source"]:
    """Matrix of the linear interpolation from the centres of `source` segments to those of `target`."""
    rows = F.interpolate(torch.eye(source)[None], size=target, mode="linear", align_corners=False)
    return rows[0].T


@contextmanager
def record_offsets(model: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Within the block, keep (offset, weight) of the last forward of each TemporalInterlace, by its name.

    The tensors, (B, G) in frames and (B, T, G), stay on their device. Outside the block nothing is kept.

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalInterlace, record_offsets
        >>> module = TemporalInterlace(16, num_segments=4)
        >>> with record_offsets(module) as records:
        ...     frames = module(torch.zeros(8, 16, 5, 7))
        >>> offset, weight = records[""]
        >>> offset.shape, weight.shape
        (torch.Size([2, 4]), torch.Size([2, 4, 4]))
    """
    records: dict[str, tuple[Tensor, Tensor]] = {}
    modules = {name: m for name, m in model.named_modules() if isinstance(m, TemporalInterlace)}
    for name, module in modules.items():
        module.recorder = partial(records.__setitem__, name)
    try:
        yield records
    finally:
        for module in modules.values():
            module.recorder = None
