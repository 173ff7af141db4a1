"""Causal temporal interlacing: TIN for video as it comes. Groups of channels look back by learned offsets."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.ops.causal_nets import causal_nets, has_causal_nets
from interlace.ops.look_back import latest, look_back
from interlace.ops.look_back_conv import LookBack
from interlace.temporal.displacement import fold_of, has_hooks
from interlace.temporal.interlace import without_autocast
from interlace.temporal.stream import Passage, State, fitting, put_before


class CausalOffsetNet(nn.Module):
    """How far each group looks back from each frame, told by the descriptors of a few frames up to it.

    The last layer starts at zero, so at first every group of every frame looks back by the same offset.
    """

    def __init__(
        self,
        channels: int,
        num_groups: int,
        *,
        window: int,
        hidden: int,
        offset_range: float,
        initial_offset: float,
    ) -> None:
        super().__init__()
        if not 0 < initial_offset < offset_range:
            raise ValueError(
                f"initial_offset={initial_offset} must lie between 0 and offset_range={offset_range}"
            )
        self.offset_range = offset_range
        self.conv = nn.Conv1d(channels, hidden, kernel_size=window)
        self.last = nn.Conv1d(hidden, num_groups, kernel_size=1)
        nn.init.zeros_(self.last.weight)
        start = initial_offset / offset_range
        nn.init.constant_(self.last.bias, math.log(start / (1 - start)))  # type: ignore[arg-type]

    def forward(self, windows: Float[Tensor, "B T FW"]) -> Float[Tensor, "B T G"]:
        """Descriptors in, offsets in frames out, each between 0 and offset_range."""
        return self.offset_range * torch.sigmoid(_conv1d(F.relu(_conv1d(windows, self.conv)), self.last))


class CausalWeightNet(nn.Module):
    """One factor in (0, 2) for each frame and group; about 1 at the start, as the bias is 0."""

    def __init__(self, channels: int, num_groups: int, *, window: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, num_groups, kernel_size=window)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, windows: Float[Tensor, "B T FW"]) -> Float[Tensor, "B T G"]:
        """Descriptors in, weights out."""
        return 2 * torch.sigmoid(_conv1d(windows, self.conv))


def _conv1d(windows: Float[Tensor, "B T IW"], conv: nn.Conv1d) -> Float[Tensor, "B T O"]:
    """The convolution as a matrix product: of one frame it takes a tenth of the time."""
    return F.linear(windows, conv.weight.flatten(1), conv.bias)


class CausalInterlace(nn.Module):
    """Delay groups of channels by learned offsets that are never negative, a new one for every frame.

    The first channels // shift_div channels (the fold) look back, the others pass through. An offset depends on the
    descriptors of the frame and the ``window - 1`` before it, so nothing of the future is needed, and a stream may
    come frame by frame: the module then remembers the folds of the last ceil(offset_range) frames and the descriptors
    of the last window - 1.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T); no weight depends on it.
        shift_div: one fold is channels // shift_div.
        num_groups: groups with an offset of their own.
        offset_range: largest offset, in frames back.
        initial_offset: offset at the start, in frames; at 1 the module starts as a causal shift.
        window: frames whose descriptors decide an offset.
        hidden: width of the offset net.

    Raises:
        ValueError: the fold does not divide into the groups, the initial offset is out of range, or a number is
            below 1.

    Source: ours, after Shao et al., Temporal Interlacing Network, AAAI 2020, equations 1 to 4.

    Example:
        >>> import torch
        >>> from interlace.temporal import CausalInterlace
        >>> CausalInterlace(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        shift_div: int = 4,
        num_groups: int = 4,
        offset_range: float = 2.0,
        initial_offset: float = 1.0,
        window: int = 3,
        hidden: int = 8,
    ) -> None:
        super().__init__()
        if window < 1 or hidden < 1:
            raise ValueError(f"window={window} and hidden={hidden} must be at least 1")
        self.channels = channels
        self.num_segments = num_segments
        self.fold = fold_of(channels, shift_div, num_groups)
        self.window = window
        self.reach = math.ceil(offset_range)
        self.offset_net = CausalOffsetNet(
            self.fold,
            num_groups,
            window=window,
            hidden=hidden,
            offset_range=offset_range,
            initial_offset=initial_offset,
        )
        self.weight_net = CausalWeightNet(self.fold, num_groups, window=window)
        self.passage: Passage | None = None

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out; the first of a clip has nothing before it."""
        if self.passage is not None:
            return self.passage(self, frames)
        clip = frames_to_clip(frames, self.num_segments)
        clip, _ = self.go_on(clip, self.init_state(clip.shape[0], clip.dtype, clip.device))
        return clip_to_frames(clip)

    def go_on(
        self, clip: Float[Tensor, "B T C H W"], state: State
    ) -> tuple[Float[Tensor, "B T C H W"], State]:
        """The frames after those that the state remembers, and the state after them."""
        *past, before = state
        u = clip[:, :, : self.fold]
        past = [fitting(frame, u) for frame in past]
        offset, weight, descriptors = self._offset_and_weight(u, before)
        moved = look_back(u, past, offset, weight)  # equation 4
        return put_before(moved, clip[:, :, self.fold :]), (*latest(u, past), descriptors)

    def look_back(self, clip: Float[Tensor, "B 1 C H W"], state: State) -> tuple[LookBack, State]:
        """The same of one frame, where a convolution reads the past by itself."""
        *past, before = state
        u = clip[:, :, : self.fold]
        past = [fitting(frame, u) for frame in past]
        parameters = self._parameters_of_nets()
        if has_causal_nets(u, before, parameters):
            offset, weight, descriptors = causal_nets(clip, before, parameters, self.offset_net.offset_range)
        else:
            offset, weight, descriptors = self._offset_and_weight(u, before)
            offset = offset.squeeze(1)
        seen = LookBack(clip, tuple(past), offset, weight, self.fold)
        return seen, (*latest(u, past), descriptors)

    def _offset_and_weight(self, u: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each frame and group; and the descriptors that the next frame's will need."""
        with without_autocast(u.device.type):
            z = torch.cat([before, u.mean((-2, -1), dtype=before.dtype)], 1)  # equation 1
            windows = z.unfold(1, self.window, 1).flatten(2)  # (B, T, F * window)
            offset, weight = self.offset_net(windows), self.weight_net(windows)  # equations 2 and 3
        return offset, weight, z[:, z.shape[1] - before.shape[1] :]

    def _parameters_of_nets(self) -> list[Tensor]:
        """Weight and bias of each layer; nothing if the nets are others or someone looks at them."""
        if type(self.offset_net) is not CausalOffsetNet or type(self.weight_net) is not CausalWeightNet:
            return []
        layers = (self.offset_net.conv, self.offset_net.last, self.weight_net.conv)
        if any(type(layer) is not nn.Conv1d or layer.bias is None for layer in layers):
            return []
        if any(has_hooks(module) for module in (self.offset_net, self.weight_net, *layers)):
            return []
        return [parameter for layer in layers for parameter in (layer.weight, layer.bias)]  # type: ignore[misc]

    def init_state(self, batch: int, dtype: torch.dtype, device: torch.device) -> State:
        """Zeros: nothing was before the first frame."""
        past = [torch.zeros(batch, self.fold, 1, 1, dtype=dtype, device=device) for _ in range(self.reach)]
        of_nets = self.offset_net.conv.weight.dtype
        return *past, torch.zeros(batch, self.window - 1, self.fold, dtype=of_nets, device=device)

    def state_names(self) -> tuple[str, ...]:
        """The fold of the last frame, of the one before it, ..., and the descriptors of the window."""
        return *(f"past{ago}" for ago in range(1, self.reach + 1)), "descriptors"

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.channels}, fold={self.fold}, num_segments={self.num_segments}, "
            f"num_groups={self.weight_net.conv.out_channels}, offset_range={self.offset_net.offset_range}, "
            f"window={self.window}"
        )
