"""The network of a run and the weights that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from interlace.models import WeightsError, create_model
from interlace.models.model import VideoModel


def build_network(
    name: str, arguments: dict[str, Any], *, pretrained: bool | Literal["auto"] | Path, seed: int
) -> tuple[VideoModel, str]:
    """A network and one line that says what weights it starts from.

    "auto" takes timm's weights, and random ones where those cannot be had, for example without a network.

    Args:
        name: METHOD_BACKBONE.
        arguments: of ``create_model``, without the weights.
        pretrained: True, False, a file, or "auto".
        seed: of the random weights.

    Example:
        >>> from interlace.training.network import build_network
        >>> arguments = {"num_classes": 3, "num_segments": 4}
        >>> build_network("tsn_resnet18", arguments, pretrained=False, seed=0)[1]
        'random'
    """
    torch.manual_seed(seed)
    if pretrained != "auto":
        model = create_model(name, pretrained=pretrained, **arguments)
        return model, str(pretrained) if isinstance(pretrained, Path) else "timm" if pretrained else "random"
    try:
        return create_model(name, pretrained=True, **arguments), "timm"
    except WeightsError as error:
        torch.manual_seed(seed)
        return create_model(name, **arguments), f"random ({error})"
