"""Where a network shifts, by the names of the convolutions and blocks that see shifted frames."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from interlace.temporal import TemporalShift


def shifted_places(network: nn.Module) -> set[str]:
    """Of a network of ours: `layer1.0.conv1`, or `layer1.0` in place.

    Example:
        >>> from interlace.models import tsm
        >>> from interlace.released.places import shifted_places
        >>> sorted(shifted_places(tsm("resnet18")))[:2]
        ['layer1.0.conv1', 'layer1.1.conv1']
    """
    names = [
        name.removeprefix("backbone.")
        for name, module in network.named_modules()
        if isinstance(module, TemporalShift)
    ]
    return {re.sub(r"\.temporal$", "", name).replace(".temporal", ".") for name in names}


def marked_places(marks: Mapping[str, set[str]]) -> set[str]:
    """And by what released names have shown (see :mod:`interlace.released.rules`).

    Example:
        >>> from interlace.released.places import marked_places
        >>> marked_places({"shift": {"backbone.layer1.0.conv1.weight"}})
        {'layer1.0.conv1'}
    """
    convs = {name.removeprefix("backbone.").rpartition(".")[0] for name in marks.get("shift", ())}
    blocks = {".".join(name.split(".")[1:3]) for name in marks.get("in_place", ())}
    return convs | blocks
