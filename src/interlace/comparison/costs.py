"""Parameters and multiply-adds, counted without any weights in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from interlace.benchmark import count_macs, count_parameters
from interlace.models import VideoModel, create_model


@dataclass(frozen=True)
class Costs:
    """What one clip takes, whatever the machine."""

    segments: tuple[int, ...]
    """Frames of each part of the clip."""
    in_chans: int
    modality: str
    gmac: float
    """Multiply-adds of convolutions and matrix products, in 10^9."""
    parameters_m: float
    """Parameters, in 10^6."""

    @property
    def frames(self) -> str:
        """Frames of each part.

        Example:
            >>> from interlace.comparison.costs import Costs
            >>> Costs((8, 16), 3, "rgb", 98.1, 47.8).frames
            '8+16'
        """
        return "+".join(str(number) for number in self.segments)


def count_costs(
    name: str, *, num_classes: int, image_size: int, num_segments: int | None = None, **arguments: Any
) -> Costs:
    """Count a network on PyTorch's meta device.

    Example:
        >>> from interlace.comparison import count_costs
        >>> costs = count_costs("tin_resnet50", num_classes=174, image_size=224)
        >>> f"{costs.parameters_m:.2f} M, {costs.gmac:.2f} GMAC"
        '23.90 M, 32.70 GMAC'
    """
    model = build(name, num_classes=num_classes, num_segments=num_segments, device="meta", **arguments)
    shape = (1, model.num_segments, model.in_chans, image_size, image_size)
    return Costs(
        segments=model.segments,
        in_chans=model.in_chans,
        modality=model.modality,
        gmac=count_macs(model, shape) / 1e9,
        parameters_m=count_parameters(model) / 1e6,
    )


def build(
    name: str, *, num_classes: int, num_segments: int | None, device: str | torch.device, **arguments: Any
) -> VideoModel:
    """A network for inference, made on the device itself."""
    frames: dict[str, Any] = {} if num_segments is None else {"num_segments": num_segments}
    with torch.device(device):
        return create_model(name, num_classes=num_classes, **frames, **arguments).eval()
