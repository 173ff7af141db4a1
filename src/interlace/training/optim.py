"""Gradient descent as the papers run it: a rule for every parameter, and a schedule that is a function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from timm.layers.grn import GlobalResponseNorm
from torch import nn

from interlace.models.classifier import VideoClassifier
from interlace.models.first_conv import first_conv

FIRST_OF_FLOW = 5.0
"""Learning rate of the first convolution over optical flow, as a multiple: it begins with weights of colors."""
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, GlobalResponseNorm)


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    bias_lr_factor: float = 2.0,
    head_lr_factor: float = 5.0,
) -> list[dict[str, Any]]:
    """Groups for an optimizer: each parameter that learns is in exactly one, frozen ones are in none.

    The rule follows from the module that owns the parameter, never from its place in the network:

    ========================================== ==================================== ============
    parameter                                  learning rate                        weight decay
    ========================================== ==================================== ============
    weight of a convolution, linear layer      lr                                   yes
    bias of one                                bias_lr_factor * lr                  no
    scale and shift of a norm, any vector      lr                                   no
    weight of ``model.heads()``                head_lr_factor * lr                  yes
    bias of ``model.heads()``                  head_lr_factor * bias_lr_factor * lr no
    weight of the first convolution over flow  5 * lr                               yes
    bias of it                                 5 * bias_lr_factor * lr              no
    ========================================== ==================================== ============

    Source: TSN, ``get_optim_policies`` of the released code. The offset and weight nets of TIN are
    convolutions and linear layers there as well. TRN's classifier and relations have no factor, as released:
    with one of 5 they did not learn (LOG.md).

    Args:
        model: a network; a :class:`interlace.models.VideoModel` says which of its layers are its head.
        lr: learning rate, already scaled to the batch.
        weight_decay: decay of the weights.
        bias_lr_factor: learning rate of biases as a multiple.
        head_lr_factor: learning rate of the head as a multiple.

    Example:
        >>> from torch import nn
        >>> from interlace.training.optim import parameter_groups
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> [(group["name"], group["lr"]) for group in parameter_groups(network, lr=0.1, weight_decay=5e-4)]
        [('weights', 0.1), ('biases', 0.2), ('norms', 0.1)]
    """
    factors = {
        "weights": (1.0, weight_decay),
        "biases": (bias_lr_factor, 0.0),
        "norms": (1.0, 0.0),
        "head_weights": (head_lr_factor, weight_decay),
        "head_biases": (head_lr_factor * bias_lr_factor, 0.0),
        "first_weights": (FIRST_OF_FLOW, weight_decay),
        "first_biases": (FIRST_OF_FLOW * bias_lr_factor, 0.0),
    }
    members: dict[str, list[nn.Parameter]] = {name: [] for name in factors}
    place = dict.fromkeys(_first_of_flow(model), "first_")
    place |= {
        parameter: "head_" for part in getattr(model, "heads", list)() for parameter in part.parameters()
    }
    seen = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                members[_rule(module, name, parameter, place.get(parameter, ""))].append(parameter)
    return [
        {"name": name, "params": parameters, "lr": factors[name][0] * lr, "weight_decay": factors[name][1]}
        for name, parameters in members.items()
        if parameters
    ]


def _first_of_flow(model: nn.Module) -> list[nn.Parameter]:
    """What belongs to the first convolution of each network over optical flow ("Flow 5/10" in the released TSN)."""
    networks = [module for module in model.modules() if isinstance(module, VideoClassifier)]
    firsts = [first_conv(network.backbone) for network in networks if network.modality == "flow"]
    return [parameter for first in firsts for parameter in first.parameters(recurse=False)]


def _rule(module: nn.Module, name: str, parameter: nn.Parameter, place: str) -> str:
    if isinstance(module, NORMS):
        return "norms"
    if name == "bias":
        return f"{place}biases"
    if parameter.ndim <= 1:  # a scale such as ConvNeXt's gamma
        return "norms"
    return f"{place}weights"


def scaled_learning_rate(lr: float, clips_per_update: int, base_batch_size: int) -> float:
    """The learning rate for the real batch, all devices and accumulated steps counted.

    Example:
        >>> from interlace.training.optim import scaled_learning_rate
        >>> scaled_learning_rate(0.02, clips_per_update=32, base_batch_size=128)
        0.005
    """
    return lr * clips_per_update / base_batch_size


def learning_rate_factor(
    step: int,
    *,
    steps_per_epoch: int,
    epochs: int,
    schedule: Literal["cosine", "steps"] = "cosine",
    warmup_epochs: float = 1.0,
    warmup_factor: float = 0.1,
    step_epochs: Sequence[float] = (),
    step_factor: float = 0.1,
) -> float:
    """What the learning rate is multiplied by at an update, counted from 0.

    Warm-up rises linearly from ``warmup_factor`` to 1. It takes half the run at most, so that a run of
    one epoch learns something. Then half a cosine to zero, 1/2 (1 + cos(pi (e - w) / (E - w))) with e in
    fractions of an epoch (TIN, released code), or a drop at each of the step epochs (TSN).

    Example:
        >>> from interlace.training.optim import learning_rate_factor
        >>> [round(learning_rate_factor(step, steps_per_epoch=2, epochs=3), 3) for step in range(6)]
        [0.1, 0.55, 1.0, 0.854, 0.5, 0.146]
    """
    epoch = step / steps_per_epoch
    warmup = min(warmup_epochs, epochs / 2)
    if epoch < warmup:
        return warmup_factor + (1 - warmup_factor) * epoch / warmup
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (epoch - warmup) / (epochs - warmup))))
    return step_factor ** sum(epoch >= drop for drop in step_epochs)
