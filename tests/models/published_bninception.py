"""BNInception once more, from the names and shapes of the published file alone: what ours is compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Channels: into the module; 1x1, 3x3_reduce, 3x3, double_3x3_reduce, double_3x3_1, double_3x3_2, pool_proj.
MODULES = {
    "3a": (192, 64, 64, 64, 64, 96, 96, 32),
    "3b": (256, 64, 64, 96, 64, 96, 96, 64),
    "3c": (320, 0, 128, 160, 64, 96, 96, 0),
    "4a": (576, 224, 64, 96, 96, 128, 128, 128),
    "4b": (576, 192, 96, 128, 96, 128, 128, 128),
    "4c": (576, 160, 128, 160, 128, 160, 160, 128),
    "4d": (608, 96, 128, 192, 160, 192, 192, 128),
    "4e": (608, 0, 128, 192, 192, 256, 256, 0),
    "5a": (1056, 352, 192, 320, 160, 224, 224, 128),
    "5b": (1024, 352, 192, 320, 192, 224, 224, 128),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Layer to the shape of its weights."""
    layers = {"conv1_7x7_s2": (64, 3, 7, 7), "conv2_3x3_reduce": (64, 64, 1, 1), "conv2_3x3": (192, 64, 3, 3)}
    for name, (into, one, reduced, three, double, first, second, pooled) in MODULES.items():
        layers |= {
            f"inception_{name}_1x1": (one, into, 1, 1),
            f"inception_{name}_3x3_reduce": (reduced, into, 1, 1),
            f"inception_{name}_3x3": (three, reduced, 3, 3),
            f"inception_{name}_double_3x3_reduce": (double, into, 1, 1),
            f"inception_{name}_double_3x3_1": (first, double, 3, 3),
            f"inception_{name}_double_3x3_2": (second, first, 3, 3),
            f"inception_{name}_pool_proj": (pooled, into, 1, 1),
        }
    return {layer: shape for layer, shape in layers.items() if shape[0]}


def published_state(
    *, norm_shape: tuple[int, ...] = (-1,), classifier: str = "last_linear"
) -> dict[str, Tensor]:
    """Random weights under the published names, in float32."""
    state = {}
    for layer, shape in shapes().items():
        channels = shape[0]
        state |= {
            f"{layer}.weight": torch.randn(shape) * (2 / (shape[1] * shape[2] * shape[3])) ** 0.5,
            f"{layer}.bias": torch.randn(channels) * 0.1,
            f"{layer}_bn.weight": (torch.rand(channels) + 0.5).view(norm_shape),
            f"{layer}_bn.bias": (torch.randn(channels) * 0.1).view(norm_shape),
            f"{layer}_bn.running_mean": (torch.randn(channels) * 0.1).view(norm_shape),
            f"{layer}_bn.running_var": (torch.rand(channels) + 0.5).view(norm_shape),
        }
    state[f"{classifier}.weight"] = torch.zeros(1000, 1024)
    state[f"{classifier}.bias"] = torch.zeros(1000)
    return state


def features(state: dict[str, Tensor], pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W), BGR of 0..255 less the mean, to features (B, 1024), in float64."""

    def layer(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = state[f"{name}.weight"].double(), state[f"{name}.bias"].double()
        x = F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)
        norm = (
            state[f"{name}_bn.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, *norm, eps=1e-5).relu()

    x = F.max_pool2d(layer("conv1_7x7_s2", pictures, 2), 3, 2, ceil_mode=True)
    x = F.max_pool2d(layer("conv2_3x3", layer("conv2_3x3_reduce", x)), 3, 2, ceil_mode=True)
    for name in MODULES:
        module, stride = f"inception_{name}", 2 if name in ("3c", "4e") else 1
        outputs = [
            layer(f"{module}_3x3", layer(f"{module}_3x3_reduce", x), stride),
            layer(
                f"{module}_double_3x3_2",
                layer(f"{module}_double_3x3_1", layer(f"{module}_double_3x3_reduce", x)),
                stride,
            ),
        ]
        if stride == 2:
            outputs = [*outputs, F.max_pool2d(x, 3, 2, ceil_mode=True)]
        else:
            pool = F.max_pool2d if name == "5b" else F.avg_pool2d
            pooled = layer(f"{module}_pool_proj", pool(x, 3, 1, 1))
            outputs = [layer(f"{module}_1x1", x), *outputs, pooled]
        x = torch.cat(outputs, 1)
    return x.mean((2, 3))
