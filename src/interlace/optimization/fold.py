"""Batch norm put into the convolution before it: at inference both are linear, so one convolution does.

norm(conv(x)) = gain * (W x + b - mean) + beta,    gain = gamma / sqrt(var + eps)
= (gain W) x + (gain (b - mean) + beta)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

Conv = nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm2d | nn.BatchNorm3d


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> int:
    """Put every batch norm that follows a convolution into it; the network is changed. Returns how many.

    A BatchNorm2d (or 3d, of a convolution over clips) becomes an Identity, timm's BatchNormAct2d the activation it
    ends in. A batch norm that follows something else stays.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from interlace.optimization.fold import fold_batch_norms
        >>> fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval())
        1
    """
    pairs = list(_pairs(network))
    for conv, parent, name, norm in pairs:
        _fold(conv, norm)
        setattr(parent, name, norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity())
    return len(pairs)


def _pairs(network: nn.Module) -> Iterator[tuple[Conv, nn.Module, str, Norm]]:
    """(convolution, parent of the norm, its name there, the norm): timm and we write them one after the other."""
    for parent in network.modules():
        children = list(parent.named_children())
        for (_, before), (name, norm) in pairwise(children):
            conv = last_layer(before)
            if (
                isinstance(conv, nn.Conv2d | nn.Conv3d)
                and isinstance(norm, nn.BatchNorm2d if isinstance(conv, nn.Conv2d) else nn.BatchNorm3d)
                and norm.running_mean is not None
                and conv.out_channels == norm.num_features
            ):
                yield conv, parent, name, norm


def last_layer(module: nn.Module) -> nn.Module:
    """What a sequence ends in (the deep stem of resnet50d), or the module itself."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return module


def _fold(conv: Conv, norm: Norm) -> None:
    mean, var = (_exact(norm, name) for name in ("running_mean", "running_var"))
    gamma = _exact(norm, "weight") if norm.affine else torch.ones_like(mean)
    beta = _exact(norm, "bias") if norm.affine else torch.zeros_like(mean)
    gain = gamma / torch.sqrt(var + norm.eps)
    bias = _exact(conv, "bias") if conv.bias is not None else torch.zeros_like(mean)
    weight = _exact(conv, "weight") * gain.reshape(-1, *[1] * (conv.weight.ndim - 1))
    dtype = conv.weight.dtype
    conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    conv.bias = nn.Parameter((gain * (bias - mean) + beta).to(dtype), requires_grad=False)


def _exact(module: nn.Module, name: str) -> torch.Tensor:
    """In float64: rounded once, at the end."""
    value: torch.Tensor = getattr(module, name)
    return value.double()
