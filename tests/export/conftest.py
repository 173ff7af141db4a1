"""Small networks that export in a second: one block in each stage, few channels, weights that make a difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import interlace
from interlace.models import VideoModel

# timm's ResNet-18 with one block in a stage and a few channels.
TINY = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}


@pytest.fixture(scope="session")
def small_network() -> Callable[..., VideoModel]:
    """Build a network by name, with norms that do something and logits of ordinary size."""

    def build(name: str, **arguments: object) -> VideoModel:
        if name.endswith("_resnet18"):
            arguments = {**TINY, **arguments}
        torch.manual_seed(0)
        model = interlace.create_model(name, **{"num_classes": 5, "num_segments": 4, **arguments})
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.5, 2.0)
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.uniform_(module.bias, -0.3, 0.3)
        for head in model.heads():
            nn.init.normal_(head.weight)
        return model.eval()

    return build
