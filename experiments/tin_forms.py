"""Forms of temporal interlacing, put together from parts: what is searched for the one that beats TSM.

`add_to_methods` makes `--model form_resnet18 --model_args '{...}'` build any of them. The package itself has the forms
that were published, and the one that won.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.models.backbone import insert_in_branches
from interlace.models.methods import METHODS, Method
from interlace.models.plain import create_backbone
from interlace.models.tin import fitting_divisor
from interlace.ops import interlace
from interlace.ops.pool import describe
from interlace.temporal.interlace import WeightNet, without_autocast


class ClipNet(nn.Module):
    """The paper's: one number for each group of a clip."""

    def __init__(self, channels: int, num_segments: int, num_groups: int, *, zero: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 1, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(num_segments, num_segments)
        self.fc2 = nn.Linear(num_segments, num_groups)
        if zero:
            nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B G"]:
        return self.fc2(F.relu(self.fc1(self.conv(z).squeeze(1))))


class FrameNet(nn.Module):
    """One number for each group and frame: no layer knows how long the clip is."""

    def __init__(self, channels: int, num_groups: int, *, hidden: int, zero: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, hidden, kernel_size=3, padding=1)
        self.last = nn.Conv1d(hidden, num_groups, kernel_size=3, padding=1)
        if zero:
            nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B T G"]:
        return self.last(F.relu(self.conv(z))).transpose(1, 2)


class FrameWeightNet(FrameNet):
    """The package's weights, from a net as deep as that of the offsets."""

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B T G"]:
        return 2 * torch.sigmoid(super().forward(z))


class StaticNet(nn.Module):
    """The same number for every clip."""

    def __init__(self, num_groups: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(1, num_groups))  # two axes: decayed like a weight

    def forward(self, z: Float[Tensor, "B F T"]) -> Float[Tensor, "B G"]:
        return self.raw.expand(z.shape[0], -1)


class OverClips(nn.BatchNorm1d):
    """Takes from each feature what it has in all clips, so that what is left tells them apart."""

    def forward(self, z: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        return super().forward(z.mT).mT


class Form(nn.Module):
    """Temporal interlacing with each part chosen."""

    def __init__(
        self,
        channels: int,
        num_segments: int,
        *,
        shift_div: int = 4,
        start: Sequence[float] = (1.0, 1.0),
        mirrored: bool = True,
        offset_range: float = 2.0,
        per: Literal["clip", "frame", "static", "fixed"] = "clip",
        squash: Literal["sigmoid", "add"] = "sigmoid",
        rounding: bool = False,
        weights: Literal["frame", "none", "zero", "two_convs"] = "frame",
        zero: bool = False,
        hidden: int = 8,
        norm: Literal["none", "frame", "clips"] = "none",
        pool: Literal["mean", "max"] = "mean",
        exact: bool = False,
        lr_factor: float = 1.0,
        jitter: float = 0.0,
        anneal: int = 0,
        warm_up: int = 0,
    ) -> None:
        super().__init__()
        self.num_segments = num_segments
        groups = len(start)
        self.fold = channels // fitting_divisor(
            channels, shift_div, groups * (2 if mirrored else 1) + 2 * exact
        )
        self.mirrored, self.range, self.per, self.squash, self.rounding = (
            mirrored,
            offset_range,
            per,
            squash,
            rounding,
        )
        self.exact, self.lr_factor, self.pool, self.jitter = exact, lr_factor, pool, jitter
        self.anneal, self.warm_up = anneal, warm_up
        if anneal or warm_up:
            self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # stored: training may go on
        if squash == "sigmoid":
            bias = [math.log((s + offset_range) / (offset_range - s)) for s in start]
        else:
            bias = list(start)
        self.register_buffer("start", torch.tensor(bias), persistent=False)
        self.norm = {
            "none": nn.Identity(),
            "frame": nn.LayerNorm(self.fold, elementwise_affine=False),
            "clips": OverClips(self.fold, affine=False),
        }[norm]
        if per == "clip":
            self.offset_net = ClipNet(self.fold, num_segments, groups, zero=zero)
        elif per == "frame":
            self.offset_net = FrameNet(self.fold, groups, hidden=hidden, zero=zero)
        else:
            self.offset_net = StaticNet(groups) if per == "static" else None
        if weights == "two_convs":
            self.weight_net = FrameWeightNet(self.fold, groups, hidden=hidden, zero=zero)
        else:
            self.weight_net = WeightNet(self.fold, groups) if weights != "none" else None
        if weights == "zero":
            nn.init.zeros_(self.weight_net.conv.weight)
        self.recorder = None

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        clip = frames_to_clip(frames, self.num_segments)
        with without_autocast(clip.device.type):
            clip, z = describe(clip, self.fold)
            if self.pool == "max":
                z = clip[:, :, : self.fold].float().amax((-2, -1))
            z = self.norm(z)
            offset = self._offset(z)
            weight = self.weight_net(z.mT) if self.weight_net is not None else None
        if self.mirrored:
            offset = torch.cat([offset, -offset], -1)
            weight = torch.cat([weight, weight], 2) if weight is not None else None
        if self.exact:
            one = torch.ones_like(offset[..., :1])
            offset = torch.cat([offset, one, -one], -1)
            if weight is not None:
                weight = torch.cat([weight, torch.ones_like(weight[..., :2])], 2)
        if offset.ndim == 2:
            return clip_to_frames(interlace(clip, offset, weight, self.fold))
        moved = by_frame(clip[:, :, : self.fold], offset, weight, math.ceil(self.range))
        return clip_to_frames(torch.cat([moved, clip[:, :, self.fold :]], 2))

    def _offset(self, z: Float[Tensor, "B T F"]) -> Tensor:
        raw = self.offset_net(z.mT) if self.offset_net is not None else z.new_zeros(len(z), len(self.start))
        if self.training and (self.anneal or self.warm_up):
            self.steps += 1
        rate = self.lr_factor * (self._part_of(self.warm_up) if self.warm_up else 1)
        # As if the net learned at a rate of its own.
        raw = raw * rate - raw.detach() * (rate - 1) + self.start
        if self.squash == "sigmoid":
            offset = 2 * self.range * (torch.sigmoid(raw) - 0.5)
        else:
            offset = raw.clamp(-self.range, self.range)
        if self.training and self.jitter:  # as if each clip were played somewhat faster or slower
            faster = self.jitter * (2 * torch.rand(len(offset), device=offset.device) - 1)
            offset = offset * (1 + faster).reshape(-1, *[1] * (offset.ndim - 1))
        if self.rounding or self.anneal:  # the gradient is that of the fractional offset
            part = 1 if self.rounding else self._part_of(self.anneal)
            offset = offset + part * (offset.round() - offset).detach()
        return offset

    def _part_of(self, steps: int) -> Float[Tensor, ""]:
        """Of what so many steps of training bring about, the part that is done."""
        return (self.steps / steps).clamp(max=1)


def by_frame(x: Tensor, offset: Float[Tensor, "B T G"], weight: Tensor | None, reach: int) -> Tensor:
    """Equation 4 with an offset for every target frame, in plain torch."""
    T, groups = x.shape[1], offset.shape[2]
    padded = F.pad(x, (0, 0, 0, 0, 0, 0, reach, reach))
    out = 0
    for d in range(-reach, reach + 1):
        tap = (1 - (offset - d).abs()).clamp_min(0)
        if weight is not None:
            tap = tap * weight
        source = padded[:, reach - d : reach - d + T].unflatten(2, (groups, -1))
        out = out + source * tap[..., None, None, None].to(x.dtype)
    return out.flatten(2, 3)


def form(
    backbone: str,
    *,
    num_segments: int = 8,
    num_convs: int = 1,
    stages: Sequence[int | None] = (None, None),
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Any = "rgb",
    parts: dict[str, Any] | None = None,
    **timm_args: Any,
) -> nn.Module:
    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **timm_args
    )
    insert_in_branches(
        network,
        lambda channels: Form(channels, num_segments, **(parts or {})),
        num_convs=num_convs,
        stages=slice(*stages),
    )
    return network


def add_to_methods() -> None:
    """To those of the package, for this process."""
    METHODS["form"] = Method(form, sentence="a form of temporal interlacing that is tried")
