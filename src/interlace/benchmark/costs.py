"""Arithmetic and parameters of a network, counted rather than measured."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, clip_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of a forward on clips of this shape; of convolutions and matrix products only.

    Attention is counted as its two matrix products, a padded convolution as if all its input were there. Pooling,
    sampling (RoIAlign), activations and other elementwise products are not counted.
    The forward runs on the meta device: nothing is computed, and the model stays as it is.

    Example:
        >>> import interlace
        >>> from interlace.benchmark import count_macs
        >>> model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4)
        >>> round(count_macs(model, (1, 4, 3, 224, 224)) / 1e9, 2)
        7.25
    """
    shell = model if _is_empty(model) else copy.deepcopy(model).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shell(torch.empty(clip_shape, device="meta"))
    return int(counter.get_total_flops()) // 2


def _is_empty(model: nn.Module) -> bool:
    """Whether it is on the meta device as a whole, and for inference."""
    on_meta = all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    return on_meta and not any(module.training for module in model.modules())


def count_parameters(model: nn.Module) -> int:
    """Trainable and frozen parameters.

    Example:
        >>> import torch
        >>> from interlace.benchmark import count_parameters
        >>> count_parameters(torch.nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in model.parameters())
