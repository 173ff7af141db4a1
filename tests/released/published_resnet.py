"""What TSN and TSM of every form compute on ResNet, written from the papers on the released names as they are.

It knows nothing of our names, nor of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def shift(x: Tensor, num_segments: int) -> Tensor:
    """TSM's: the first eighth from the next frame, the second from the one before, zeros at the ends."""
    clips = x.unflatten(0, (-1, num_segments))
    fold = clips.shape[2] // 8
    future, past, rest = clips.split([fold, fold, clips.shape[2] - 2 * fold], 2)
    future = torch.cat([future[:, 1:], torch.zeros_like(future[:, :1])], 1)
    past = torch.cat([torch.zeros_like(past[:, :1]), past[:, :-1]], 1)
    return torch.cat([future, past, rest], 2).flatten(0, 1)


class Walk:
    """Layers by their names in a state."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = {name: value.double() for name, value in state.items()}

    def has(self, name: str) -> bool:
        return any(key.startswith(f"{name}.") for key in self.state)

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)

    def conv(self, x: Tensor, name: str, num_segments: int, *, stride: int = 1) -> Tensor:
        if self.has(f"{name}.net"):
            x, name = shift(x, num_segments), f"{name}.net"
        weight = self.state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)

    def block(self, x: Tensor, name: str, num_segments: int, stride: int) -> Tensor:
        if self.has(f"{name}.nl"):
            return self.non_local(
                self.block(x, f"{name}.block", num_segments, stride), f"{name}.nl", num_segments
            )
        if self.has(f"{name}.net"):
            x, name = shift(x, num_segments), f"{name}.net"
        bottleneck = self.has(f"{name}.conv3")
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        y = x
        for number, step in enumerate(strides, start=1):
            y = self.norm(
                self.conv(y, f"{name}.conv{number}", num_segments, stride=step), f"{name}.bn{number}"
            )
            y = F.relu(y) if number < len(strides) else y
        if self.has(f"{name}.downsample"):
            x = self.norm(
                self.conv(x, f"{name}.downsample.0", num_segments, stride=stride), f"{name}.downsample.1"
            )
        return F.relu(x + y)

    def non_local(self, x: Tensor, name: str, num_segments: int) -> Tensor:
        """Embedded Gaussian over all positions of a clip; what is looked at is max-pooled."""
        clips = x.unflatten(0, (-1, num_segments)).transpose(1, 2)
        theta, phi, g = (
            F.conv3d(clips, self.state[f"{name}.{part}.weight"], self.state[f"{name}.{part}.bias"])
            for part in ("theta", "phi.0", "g.0")
        )
        phi, g = F.max_pool3d(phi, (1, 2, 2)).flatten(2), F.max_pool3d(g, (1, 2, 2)).flatten(2)
        y = (theta.flatten(2).mT @ phi).softmax(-1) @ g.mT
        y = F.conv3d(
            y.mT.reshape(theta.shape), self.state[f"{name}.W.0.weight"], self.state[f"{name}.W.0.bias"]
        )
        return (clips + self.norm(y, f"{name}.W.1")).transpose(1, 2).flatten(0, 1)


def logits(state: Mapping[str, Tensor], clip: Tensor) -> Tensor:
    """TSN, or a TSM of any form, on ResNet: clips (B, T, C, H, W) to logits (B, K)."""
    walk = Walk({name.removeprefix("base_model."): value for name, value in state.items()})
    num_segments = clip.shape[1]
    x = walk.conv(clip.double().flatten(0, 1), "conv1", num_segments, stride=2)
    x = F.max_pool2d(F.relu(walk.norm(x, "bn1")), 3, 2, 1)
    for stage in range(1, 5):
        name = f"layer{stage}"
        if walk.has(f"{name}.net"):
            clips = x.unflatten(0, (-1, num_segments)).transpose(1, 2)
            clips = F.max_pool3d(clips, (3, 1, 1), (2, 1, 1), (1, 0, 0))
            num_segments, x, name = clips.shape[2], clips.transpose(1, 2).flatten(0, 1), f"{name}.net"
        block = 0
        while walk.has(f"{name}.{block}"):
            x = walk.block(x, f"{name}.{block}", num_segments, stride=2 if stage > 1 and block == 0 else 1)
            block += 1
    return _classified(walk, x, num_segments, "new_fc")


def _classified(walk: Walk, x: Tensor, num_segments: int, name: str) -> Tensor:
    of_frames = F.linear(x.mean((2, 3)), walk.state[f"{name}.weight"], walk.state[f"{name}.bias"])
    return of_frames.unflatten(0, (-1, num_segments)).mean(1)
