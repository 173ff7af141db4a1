"""A timm network, and temporal modules put into its blocks.

The weights keep the names of the plain network: `conv1.weight` is `conv1.weight` with a temporal module in
front of it, and what the module has of its own is `conv1.temporal.*`. So image weights, and those of TSN and
TSM, load into TIN by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from timm.models import _efficientnet_blocks as efficientnet
from timm.models import convnext, regnet, resnet
from torch import Tensor, nn

from interlace.layout import clip_to_frames
from interlace.models.geometry import geometry_of
from interlace.models.plain import pretrained_cfg
from interlace.ops import has_kernels, interlaced_conv2d
from interlace.ops.look_back_conv import can_look_back_conv1x1, look_back_conv1x1, look_back_within
from interlace.temporal.displacement import Displacing, displaces
from interlace.temporal.stream import Causal, Passage, looks_back

TemporalPart = Callable[[int], nn.Module]
"""Makes a temporal module for so many channels, e.g. partial(TemporalShift, num_segments=8)."""

# The convolutions of each block's residual branch, first to last. The blocks of MobileNet and EfficientNet
# have a residual branch only where has_skip is true (the 10 blocks of TSM's MobileNetV2); where their 1x1
# expansion is missing (DepthwiseSeparableConv) the depthwise convolution comes first.
_BRANCHES: dict[type[nn.Module], tuple[str, ...]] = {
    resnet.BasicBlock: ("conv1", "conv2"),
    resnet.Bottleneck: ("conv1", "conv2", "conv3"),
    regnet.Bottleneck: ("conv1.conv", "conv2.conv", "conv3.conv"),
    efficientnet.InvertedResidual: ("conv_pw", "conv_dw", "conv_pwl"),
    efficientnet.EdgeResidual: ("conv_exp", "conv_pwl"),
    efficientnet.DepthwiseSeparableConv: ("conv_dw", "conv_pw"),
    convnext.ConvNeXtBlock: ("conv_dw",),
}
EVERY_STAGE = slice(None)
SUPPORTED = "ResNet, ResNeXt, RegNet, MobileNetV2, MobileNetV3, EfficientNet and ConvNeXt"


class TemporalConv2d(nn.Conv2d):
    """conv(temporal(x)): a convolution with one more part, which takes over the plain one's parameters."""

    def __init__(self, conv: nn.Conv2d, temporal: nn.Module) -> None:
        super().__init__(**geometry_of(conv), device="meta")
        self.weight = conv.weight
        self.bias = conv.bias
        self.temporal = temporal

    def forward(self, input: Tensor) -> Tensor:
        """Frames (B*T, C, H, W) in, features of frames out."""
        if looks_back(self.temporal, input) and self._has_plain_padding():
            return self._look_back(cast(Causal, self.temporal), input)
        if not self._can_fuse(input):
            return super().forward(self.temporal(input))
        clip, offset, weight, fold = cast(Displacing, self.temporal).displacement(input)
        geometry = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        return clip_to_frames(
            interlaced_conv2d(clip, offset, weight, self.weight, self.bias, fold=fold, **geometry)
        )

    def _can_fuse(self, input: Tensor) -> bool:
        """Whether the module's output need not exist: it only displaces, and no one else looks at it.

        A compiled or exported graph has the two parts as they are, for the compiler to fuse.
        """
        return (
            not torch.compiler.is_compiling()
            and has_kernels(input)
            and displaces(self.temporal)
            and self._has_plain_padding()
        )

    def _has_plain_padding(self) -> bool:
        return self.padding_mode == "zeros" and not isinstance(self.padding, str)

    def _look_back(self, temporal: Causal, frame: Tensor) -> Tensor:
        """One frame of a stream: what moves is read from the past, and the rest need not be copied."""
        seen = cast(Passage, temporal.passage).look_back(temporal, frame)
        is_pointwise = self.kernel_size == (1, 1) and self.stride == (1, 1) and self.groups == 1
        if is_pointwise and self.padding == (0, 0) and can_look_back_conv1x1(seen):
            return look_back_conv1x1(seen, self.weight.flatten(1), self.bias)
        return look_back_within(seen, super().forward)


class Stage(NamedTuple):
    """Residual blocks of one size, which follow each other."""

    name: str
    module: nn.Module
    """It may have other children as well, such as MobileNet's blocks without a residual branch."""
    blocks: dict[str, nn.Module]
    """By their names in the module."""


def insert_in_branches(
    backbone: nn.Module,
    temporal: TemporalPart,
    *,
    num_convs: int = 1,
    every: int = 1,
    stages: slice = EVERY_STAGE,
) -> None:
    """Put a temporal module before the first convolution(s) of the residual branch of each block.

    Args:
        backbone: a timm network; it is changed.
        temporal: makes the module for a number of channels.
        num_convs: how many convolutions of each branch get a module; 2 is the TSM of the TIN authors.
        every: 1 for every block, 2 for every second block of a stage, beginning with its first.
        stages: of which stages, e.g. slice(1, None) for all but the first.

    Raises:
        ValueError: the network has no block that is known here, none of them has so many convolutions, or a number
            is below 1.
    """
    _check_every(every)
    longest = max(len(_BRANCHES[type(b)]) for stage in stages_of(backbone) for b in stage.blocks.values())
    if not 1 <= num_convs <= longest:
        raise ValueError(
            f"num_convs={num_convs}; the branches of {_architecture(backbone)} have 1 to {longest} convolutions"
        )
    for stage in stages_of(backbone)[stages]:
        for block in list(stage.blocks.values())[::every]:
            for name in _BRANCHES[type(block)][:num_convs]:
                conv = _conv(block, name)
                block.set_submodule(name, TemporalConv2d(conv, temporal(conv.in_channels)))


def insert_before_blocks(backbone: nn.Module, temporal: TemporalPart, *, every: int = 1) -> None:
    """Put a temporal module before whole blocks ("in place"), so that the identity path is mixed too.

    Raises:
        ValueError: the network has no block that is known here, its stages are not plain sequences, or `every`
            is below 1.
    """
    _check_every(every)
    for stage in stages_of(backbone):
        for name, block in list(stage.blocks.items())[::every]:
            channels = _conv(block, _BRANCHES[type(block)][0]).in_channels
            _insert(stage.module, f"temporal{name}", temporal(channels), before=name)


def insert_before_stage(backbone: nn.Module, pool: nn.Module, *, stage: int) -> None:
    """Put a temporal pool before the residual blocks of a stage (0 is the first); what follows sees fewer frames.

    Raises:
        ValueError: the network has no block that is known here, no such stage, or it is not a plain sequence.
    """
    stages = stages_of(backbone)
    if not 0 <= stage < len(stages):
        raise ValueError(
            f"there is no stage {stage}: the network has {len(stages)} with residual blocks, from 0 on"
        )
    module = stages[stage].module
    _insert(module, "temporal_pool", pool, before=next(name for name, _ in module.named_children()))


def insert_after_blocks(
    backbone: nn.Module, part: Callable[[int], nn.Module], places: Sequence[str], *, name: str
) -> None:
    """Put a module behind whole blocks; the weights of the network keep their names.

    Args:
        backbone: a network whose stages are plain sequences of blocks; of frames, or of clips (3-D convolutions).
        part: makes the module for the number of channels that the block puts out.
        places: names of the blocks, e.g. ["layer2.0", "layer3.4"].
        name: of the new modules; behind block "4" stands "{name}4".

    Raises:
        ValueError: there is no block of that name, it is named twice, or it is not part of a plain sequence.
    """
    if len(set(places)) < len(places):
        raise ValueError(
            f"places={list(places)}: a block is named twice; one {name} module stands behind each"
        )
    for place in places:
        stage, _, block = place.rpartition(".")
        try:
            module = backbone.get_submodule(place)
        except AttributeError as error:
            raise ValueError(f"the network has no block {place!r}: {error}") from error
        _insert(backbone.get_submodule(stage), f"{name}{block}", part(_out_channels(module)), after=block)


def largest_stage(backbone: nn.Module) -> int:
    """The number of blocks in the longest stage: 23 in ResNet-101."""
    return max(len(stage.blocks) for stage in stages_of(backbone))


def temporal_keys(model: nn.Module) -> set[str]:
    """Names of the weights that belong to temporal modules and non-local blocks, not to the plain network."""
    own = ("temporal", "non_local")
    return {key for key in model.state_dict() if any(part.startswith(own) for part in key.split("."))}


def stages_of(backbone: nn.Module) -> list[Stage]:
    """The stages of a timm network and their residual blocks.

    Raises:
        ValueError: the network has no block that is known here.
    """
    stages = []
    for name, module in backbone.named_modules():
        blocks = {child_name: child for child_name, child in module.named_children() if _has_branch(child)}
        if blocks:
            stages.append(Stage(name, module, blocks))
    if not stages:
        raise ValueError(
            f"{_architecture(backbone)} has no residual blocks that a temporal module can go into; "
            f"supported are {SUPPORTED}"
        )
    return stages


def _insert(
    stage: nn.Module, name: str, part: nn.Module, *, before: str | None = None, after: str | None = None
) -> None:
    """Put a module into a sequence, beside one of its children; the others keep their names."""
    if not isinstance(stage, nn.Sequential):
        raise ValueError(
            f"{type(stage).__name__} is not a sequence of blocks; nothing can be put between them, "
            "only into their branches (the residual position)"
        )
    children = dict(stage.named_children())
    del stage[:]
    for child_name, child in children.items():
        if child_name == before:
            stage.add_module(name, part)
        stage.add_module(child_name, child)
        if child_name == after:
            stage.add_module(name, part)


def _architecture(backbone: nn.Module) -> str:
    return str(pretrained_cfg(backbone)["architecture"])


def _check_every(every: int) -> None:
    if every < 1:
        raise ValueError(f"every={every}; it is 1 for every block, 2 for every second one, and so on")


def _out_channels(block: nn.Module) -> int:
    """Of the last convolution of a known block's branch; else of the last one that the block has."""
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    if type(block) in _BRANCHES:
        convs = [cast(nn.Conv2d, block.get_submodule(_BRANCHES[type(block)][-1]))]
    if not convs:
        raise ValueError(
            f"a {type(block).__name__} has no convolution that says how many channels it puts out"
        )
    return convs[-1].out_channels


def _conv(block: nn.Module, name: str) -> nn.Conv2d:
    conv = block.get_submodule(name)
    if type(conv) is not nn.Conv2d:
        raise ValueError(f"a {type(conv).__name__}, {name!r} of a block, cannot take a temporal module")
    return conv


def _has_branch(block: nn.Module) -> bool:
    return type(block) in _BRANCHES and getattr(block, "has_skip", True)
