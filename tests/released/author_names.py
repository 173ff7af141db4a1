"""Weights under the names that the authors of TSN, TSM and TIN gave them, of networks of any depth."""

from __future__ import annotations

import re

import timm
import torch
from torch import Tensor

State = dict[str, Tensor]
CONV1 = re.compile(r"(layer\d\.\d+\.conv1)\.weight")


def plain(backbone: str, classes: int = 5, in_chans: int = 3) -> State:
    """A plain TSN on a ResNet under the authors' names: torchvision's behind `base_model`, and `new_fc`."""
    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=0, in_chans=in_chans)
    state = {f"base_model.{name}": values(name, value.shape) for name, value in network.state_dict().items()}
    features = network.num_features
    return {**state, "new_fc.weight": torch.randn(classes, features), "new_fc.bias": torch.randn(classes)}


def values(name: str, shape: torch.Size) -> Tensor:
    """Any values that keep a deep network's features of order one."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(9)
    if len(shape) == 1:
        return torch.rand(shape) + (0.5 if name.endswith(("weight", "running_var")) else -0.5)
    return torch.randn(shape) / shape[1:].numel() ** 0.5


def shifted(state, *, every=1, convs="1"):
    """TSM's names: `.net` behind convolutions of every block, or of every second one."""
    pattern = re.compile(rf"(layer\d\.(\d+)\.conv[{convs}])\.weight")

    def name(key):
        found = pattern.search(key)
        return pattern.sub(r"\1.net.weight", key) if found and int(found[2]) % every == 0 else key

    return {name(key): value for key, value in state.items()}


def interlaced(state, *, num_segments, shift_div, num_groups=2):
    """TIN's names and nets."""
    new = {CONV1.sub(r"\1.net2.weight", key): value for key, value in state.items()}
    for key, value in state.items():
        if found := CONV1.search(key):
            conv, fold, T = f"base_model.{found[1]}.net1", value.shape[1] // shift_div, num_segments
            bias, weight = f"{conv}.biasnet.net", f"{conv}.weightnet.net.lastlayer"
            layers = {
                f"{bias}.conv": (1, fold, 3),
                f"{bias}.fc": (T, T),
                f"{bias}.lastlayer": (num_groups, T),
            }
            for layer, shape in {**layers, weight: (num_groups, fold, 3)}.items():
                new |= {f"{layer}.weight": torch.randn(shape), f"{layer}.bias": torch.randn(shape[0])}
    return new
