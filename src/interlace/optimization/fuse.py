"""Activations, and the additions of residual blocks, put into the convolutions before them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, cast

from timm.models import _efficientnet_blocks as efficientnet
from timm.models import regnet, resnet
from torch import Tensor, nn

from interlace.models.backbone import TemporalConv2d
from interlace.models.regions import DetectorProposals
from interlace.optimization.convolution import ACTIVATIONS, FusedConv2d
from interlace.optimization.fold import last_layer


class _Block(NamedTuple):
    branch: tuple[str, ...]
    """The residual branch, first to last."""
    after_addition: str | None
    """The activation of the sum."""


_BLOCKS: dict[type[nn.Module], _Block] = {
    resnet.BasicBlock: _Block(("conv1", "conv2"), "act2"),
    resnet.Bottleneck: _Block(("conv1", "conv2", "conv3"), "act3"),
    regnet.Bottleneck: _Block(("conv1", "conv2", "se", "conv3"), "act3"),
    efficientnet.InvertedResidual: _Block(("conv_pw", "conv_dw", "se", "conv_pwl"), None),
    efficientnet.EdgeResidual: _Block(("conv_exp", "se", "conv_pwl"), None),
    efficientnet.DepthwiseSeparableConv: _Block(("conv_dw", "se", "conv_pw"), None),
}
# Activations that do not stand next to their convolution: the folded batch norm is between.
_ACTIVATED: dict[type[nn.Module], dict[str, str]] = {
    resnet.ResNet: {"conv1": "act1"},
    resnet.BasicBlock: {"conv1": "act1"},
    resnet.Bottleneck: {"conv1": "act1", "conv2": "act2"},
}


class ResidualBlock(nn.Module):
    """activation(shortcut(x) + branch(x)), written over the shortcut.

    The parts keep the names that they have in timm's block, and temporal modules theirs.
    """

    def __init__(self, block: nn.Module, branch: tuple[str, ...], last: FusedConv2d) -> None:
        super().__init__()
        self.branch = branch[:-1]
        for name in self.branch:
            self.add_module(name, block.get_submodule(name))
        self.add_module(branch[-1], last)
        self.last = branch[-1]
        self.downsample = getattr(block, "downsample", None)

    def forward(self, x: Tensor) -> Tensor:
        """Frames in, features of frames out; the frames are overwritten where they are the shortcut."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for name in self.branch:
            x = self.get_submodule(name)(x)
        return cast(FusedConv2d, self.get_submodule(self.last)).add_to_(shortcut, x)


def fuse(network: nn.Module) -> None:
    """Replace the convolutions of a network by fused ones, and the blocks that allow it; it is changed.

    Those over clips stay, and those of a detector of regions, which is another network.

    Example:
        >>> from torch import nn
        >>> from interlace.optimization.fuse import fuse
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        >>> fuse(network)
        >>> [type(layer).__name__ for layer in network]
        ['FusedConv2d', 'Identity']
    """
    activations = {conv: (parent, name) for conv, parent, name in _activated(network)}
    others = {
        part
        for other in network.modules()
        if isinstance(other, DetectorProposals)
        for part in other.modules()
    }
    for path, conv in list(network.named_modules()):
        if not _is_plain(conv) or conv in others:
            continue
        activation: nn.Module = nn.Identity()
        if conv in activations:
            parent, name = activations[conv]
            activation = parent.get_submodule(name)
            setattr(parent, name, nn.Identity())
        network.set_submodule(path, FusedConv2d(cast(nn.Conv2d, conv), activation))
    for path, block in list(network.named_modules()):
        if type(block) in _BLOCKS and (fused := _residual(block)) is not None:
            network.set_submodule(path, fused)


def _is_plain(conv: nn.Module) -> bool:
    return (
        type(conv) in (nn.Conv2d, TemporalConv2d)
        and cast(nn.Conv2d, conv).padding_mode == "zeros"
        and not isinstance(cast(nn.Conv2d, conv).padding, str)
    )


def _activated(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module, str]]:
    """(convolution, parent of its activation, the activation's name there)."""
    for parent in network.modules():
        children = list(parent.named_children())
        if isinstance(parent, nn.Sequential):  # here what does nothing may be passed over
            children = [child for child in children if type(child[1]) is not nn.Identity]
        for (_, conv), (name, activation) in pairwise(children):
            if _is_plain(conv) and type(activation) in ACTIVATIONS:
                yield conv, parent, name
        if _ACTIVATED.get(type(parent)) and _does_nothing(parent, "bn1", "bn2", "drop_block"):
            for conv_name, name in _ACTIVATED[type(parent)].items():
                if type(parent.get_submodule(name)) in ACTIVATIONS:
                    yield last_layer(parent.get_submodule(conv_name)), parent, name


def _does_nothing(parent: nn.Module, *names: str) -> bool:
    return all(type(getattr(parent, name, None)) in (nn.Identity, type(None)) for name in names)


def _residual(block: nn.Module) -> ResidualBlock | None:
    """The block as a fused one; None where it has no shortcut or parts that are not known here."""
    branch, after_addition = _BLOCKS[type(block)]
    last = block.get_submodule(branch[-1])
    last = getattr(last, "conv", last)  # RegNet's convolutions have a wrapper
    others = {name for name, _ in block.named_children()} - {
        *branch,
        after_addition,
        "downsample",
        "drop_path",
    }
    if (
        not getattr(block, "has_skip", True)
        or (isinstance(block, regnet.Bottleneck) and block.downsample is None)
        or not isinstance(last, FusedConv2d)
        or type(last.activation) is not nn.Identity
        or not _does_nothing(block, *others)
    ):
        return None
    if after_addition is not None:
        last.activation = block.get_submodule(after_addition)
    return ResidualBlock(block, tuple(name for name in branch if not _does_nothing(block, name)), last)
