"""Which backbone weights are those of, from their names and shapes, and what its first convolution sees."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from torch import Tensor

from interlace.models.modality import FLOW_LENGTH, Modality

RESNETS: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (2, 2, 2, 2)): "resnet26",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
    ("wide", (3, 4, 6, 3)): "wide_resnet50_2",
    ("wide", (3, 4, 23, 3)): "wide_resnet101_2",
    ("grouped", (3, 4, 6, 3)): "resnext50_32x4d",
    ("grouped", (3, 4, 23, 3)): "resnext101_32x8d",
}
"""Kind of block and blocks of each stage, to timm's name."""
_FIRST_CONVS = ("conv1.weight", "conv1.0.weight", "conv_stem.weight", "conv1.conv.weight")
_MODALITIES: dict[int, Modality] = {3: "rgb", 2 * FLOW_LENGTH: "flow", 3 * FLOW_LENGTH: "rgb_diff"}


def blocks_of(names: Iterable[str]) -> dict[str, list[int]]:
    """The numbers of the blocks of each stage of a ResNet, e.g. {"layer1": [0, 1, 2], ...}.

    Example:
        >>> from interlace.released.backbones import blocks_of
        >>> blocks_of(["layer1.0.conv1.weight", "layer1.1.conv1.weight", "layer2.0.bn1.bias"])
        {'layer1': [0, 1], 'layer2': [0]}
    """
    found: dict[str, set[int]] = defaultdict(set)
    for name in names:
        match = re.match(r"(layer\d)\.(\d+)\.", name)
        if match:
            found[match[1]].add(int(match[2]))
    return {stage: sorted(found[stage]) for stage in sorted(found)}


def size_of(weights: Mapping[str, Tensor], name: str, axis: int) -> int:
    """The size of one axis of a weight.

    Raises:
        ValueError: it has no such axis.

    Example:
        >>> import torch
        >>> from interlace.released.backbones import size_of
        >>> size_of({"head.weight": torch.zeros(5, 512)}, "head.weight", 0)
        5
    """
    shape = tuple(weights[name].shape)
    if axis >= len(shape):
        raise ValueError(f"{name} has the shape {shape}, which is none of such a weight")
    return shape[axis]


def backbone_name(weights: Mapping[str, Tensor], marks: Iterable[str]) -> str:
    """Timm's name of the backbone (or bninception) that weights, without `backbone.`, are those of.

    Raises:
        ValueError: no such network is known.
    """
    if "bninception" in marks:
        return "bninception"
    if "mobilenet" in marks:
        return "mobilenetv2_100"
    counts = tuple(len(blocks) for blocks in blocks_of(weights).values())
    kind = _kind_of_block(weights)
    name = RESNETS.get((kind, counts))
    if name is None:
        raise ValueError(f"no ResNet is known that has {counts} {kind} blocks in its stages")
    if "conv1.0.weight" not in weights:
        return name
    # A deep stem; where the identity path pools before it convolves as well, it is timm's "d".
    pooled = "layer2.0.downsample.1.weight" in weights and weights["layer2.0.downsample.1.weight"].dim() == 4
    return f"{name}{'d' if pooled else 'c'}"


def modality_of(weights: Mapping[str, Tensor]) -> Modality:
    """What a first convolution sees, by its input channels: 3 colors, 10 of flow, 15 of differences.

    Raises:
        ValueError: another number of channels, or there is no first convolution.
    """
    first = next((weights[name] for name in _FIRST_CONVS if name in weights), None)
    if first is None or first.dim() != 4:
        raise ValueError("its first convolution is missing")
    modality = _MODALITIES.get(first.shape[1])
    if modality is None:
        known = ", ".join(f"{channels} ({name})" for channels, name in _MODALITIES.items())
        raise ValueError(f"its first convolution sees {first.shape[1]} channels; known are {known}")
    return modality


def _kind_of_block(weights: Mapping[str, Tensor]) -> str:
    middle = weights.get("layer1.0.conv2.weight")
    if "layer1.0.conv3.weight" not in weights or middle is None or middle.dim() != 4:
        return "basic"
    if middle.shape[1] < middle.shape[0]:
        return "grouped"
    return "wide" if middle.shape[0] > 64 else "bottleneck"
