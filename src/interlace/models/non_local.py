"""Non-local blocks (Wang et al., CVPR 2018) between the residual blocks of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from interlace.models.backbone import insert_after_blocks, stages_of
from interlace.temporal import NonLocalFrames
from interlace.temporal.non_local import Similarity


def non_local(
    method: Callable[..., nn.Module],
    backbone: str,
    *,
    num_segments: int = 8,
    similarity: Similarity = "embedded_gaussian",
    subsample: bool = True,
    places: Sequence[str] | None = None,
    **arguments: Any,
) -> nn.Module:
    """The network of a method, with non-local blocks over the positions of all frames behind some of its blocks.

    Args:
        method: builds the network, e.g. :func:`interlace.models.tsm`.
        backbone: timm's name of the network.
        num_segments: frames in a clip (T).
        similarity: how two positions are compared, see :class:`interlace.temporal.NonLocalBlock`.
        subsample: positions that are looked at are max-pooled by 2 in height and width.
        places: names of the residual blocks, e.g. ["layer2.1", "layer3.5"]; None for those of
            :func:`every_second_block`.
        arguments: those of the method.

    Raises:
        ValueError: the network has no such block, or its stages are not plain sequences of blocks.

    Example:
        >>> import torch
        >>> from interlace.models import tsm
        >>> from interlace.models.non_local import non_local
        >>> non_local(tsm, "resnet18", num_segments=4)(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([8, 512])
    """
    network = method(backbone, num_segments=num_segments, **arguments)
    block = partial(NonLocalFrames, num_segments=num_segments, similarity=similarity, subsample=subsample)
    insert_non_local(network, block, every_second_block(network) if places is None else places)
    return network


def insert_non_local(network: nn.Module, block: Callable[[int], nn.Module], places: Sequence[str]) -> None:
    """Put a non-local block behind each of these residual blocks: `layer2.0` is followed by `layer2.non_local0`.

    Args:
        network: it is changed. Its own weights keep their names.
        block: makes the block for a number of channels: NonLocalFrames in a network of frames, NonLocalBlock in
            one of clips (B, C, T, H, W).
        places: names of residual blocks.

    Raises:
        ValueError: there is no block of that name, or it is not part of a plain sequence.

    Example:
        >>> import timm
        >>> from interlace.models.non_local import insert_non_local
        >>> from interlace.temporal import NonLocalFrames
        >>> network = timm.create_model("resnet18", num_classes=0)
        >>> insert_non_local(network, NonLocalFrames, ["layer2.0"])
        >>> list(dict(network.layer2.named_children()))
        ['0', 'non_local0', '1']
    """
    insert_after_blocks(network, block, places, name="non_local")


def every_second_block(network: nn.Module) -> list[str]:
    """Where the authors of TSM put them: every second residual block, but in the first and the last stage.

    ResNet-50 has five, as released; the released code has no others.

    Example:
        >>> import timm
        >>> from interlace.models.non_local import every_second_block
        >>> every_second_block(timm.create_model("resnet50"))
        ['layer2.0', 'layer2.2', 'layer3.0', 'layer3.2', 'layer3.4']
    """
    return [
        f"{stage.name}.{block}" for stage in stages_of(network)[1:-1] for block in list(stage.blocks)[::2]
    ]
