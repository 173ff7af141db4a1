"""The convolution of an optimized network: bias, activation and temporal module are parts of it."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlace.layout import clip_to_frames
from interlace.models.backbone import TemporalConv2d
from interlace.ops.in_place import interlace_
from interlace.ops.look_back_conv import look_back_packed_conv1x1, look_back_within
from interlace.ops.packed_conv import can_pack, pack, packed_conv1x1
from interlace.optimization.processor import has_onednn
from interlace.temporal.displacement import displaces
from interlace.temporal.stream import Causal, Passage, looks_back

# Activations that oneDNN applies while it writes the output: its name, and its numbers.
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}
# And those that our own convolution applies: the limits to which it cuts.
_LIMITS: dict[type[nn.Module], tuple[float | None, float | None]] = {
    nn.Identity: (None, None),
    nn.ReLU: (0.0, None),
    nn.ReLU6: (0.0, 6.0),
}
_POINTWISE = ((1, 1), (0, 0), (1, 1), 1)


class FusedConv2d(nn.Module):
    """activation(conv(temporal(x))): frames (B*T, C, H, W) in, features of frames out.

    On the CPU oneDNN adds the bias and applies the activation while it writes, with weights in the order that it
    likes (packed at the first call); elsewhere PyTorch does one after the other.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.weight = conv.weight
        self.bias = conv.bias
        self.settings: tuple[Any, ...] = (conv.stride, conv.padding, conv.dilation, conv.groups)
        self.activation = activation
        self._is_pointwise = conv.kernel_size == (1, 1) and self.settings == _POINTWISE
        self.temporal = conv.temporal if isinstance(conv, TemporalConv2d) else None
        self._packed: Tensor | None = None  # for oneDNN
        self._packed_rows: Tensor | None = None  # for our own convolution
        self._packed_from: tuple[int, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Frames in, features out. Where a temporal module is, x is changed on the way and then restored."""
        if self.temporal is None:
            return self._convolve(x)
        if looks_back(self.temporal, x):
            return self._look_back(cast(Causal, self.temporal), x)
        if not displaces(self.temporal):
            return self._convolve(self.temporal(x))
        # Only the channels that move are written, not all that the convolution reads.
        clip, offset, weight, fold = self.temporal.displacement(x)
        weight = offset.new_ones((*clip.shape[:2], offset.shape[1])) if weight is None else weight
        limits = _LIMITS.get(type(self.activation))
        if limits and self._is_pointwise and can_pack(clip, fold, self.weight):
            packed = self._packed_for_rows()
            return clip_to_frames(packed_conv1x1(clip, offset, weight, fold, packed, self.bias, *limits))
        kept = interlace_(clip, offset, weight, fold)
        out = self._convolve(x)
        clip[:, :, :fold] = kept
        return out

    def _look_back(self, temporal: Causal, frame: Tensor) -> Tensor:
        """One frame of a stream: what moves is read from the past, and the rest need not be copied."""
        seen = cast(Passage, temporal.passage).look_back(temporal, frame)
        limits = _LIMITS.get(type(self.activation))
        if limits and self._is_pointwise and can_pack(seen.clip, seen.fold, self.weight):
            return look_back_packed_conv1x1(seen, self._packed_for_rows(), self.bias, *limits)
        return look_back_within(seen, self._convolve)

    def add_to_(self, shortcut: Tensor, x: Tensor) -> Tensor:
        """activation(shortcut + conv(temporal(x))), written over the shortcut."""
        x = x if self.temporal is None else self.temporal(x)
        name, _ = ACTIVATIONS[type(self.activation)]
        if not self._by_onednn(x) or name not in ("none", "relu"):
            return self.activation(shortcut.add_(F.conv2d(x, self.weight, self.bias, *self.settings)))
        stride, padding, dilation, groups = self.settings
        fused: tuple[Any, ...] = ("add", 1.0, None if name == "none" else name, [], "")
        return torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, self._packed_for(x), self.bias, padding, stride, dilation, groups, *fused
        )

    def _convolve(self, x: Tensor) -> Tensor:
        if not self._by_onednn(x):
            return self.activation(F.conv2d(x, self.weight, self.bias, *self.settings))
        stride, padding, dilation, groups = self.settings
        fused = (*ACTIVATIONS[type(self.activation)], "")
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._packed_for(x), self.bias, padding, stride, dilation, groups, *fused
        )

    def _by_onednn(self, x: Tensor) -> bool:
        return x.is_cpu and x.dtype in (torch.float32, torch.bfloat16) and has_onednn()

    def _packed_for(self, x: Tensor) -> Tensor:
        """The weights as oneDNN wants them for inputs like the first one; right, but slower, for others."""
        self._forget_old_weights()
        if self._packed is None:
            stride, padding, dilation, groups = self.settings
            self._packed = torch.ops.aten.mkldnn_reorder_conv2d_weight(
                self.weight.detach().to_mkldnn(), padding, stride, dilation, groups, list(x.shape)
            )
        return self._packed

    def _packed_for_rows(self) -> Tensor:
        """The weights as our own convolution wants them."""
        self._forget_old_weights()
        if self._packed_rows is None:
            self._packed_rows = pack(self.weight)
        return self._packed_rows

    def _forget_old_weights(self) -> None:
        """What was packed before other weights were loaded."""
        weight = self.weight
        now = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if now != self._packed_from:
            self._packed, self._packed_rows, self._packed_from = None, None, now
