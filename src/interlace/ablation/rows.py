"""The rows of the table: how many groups, and whether each has a mirror image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from interlace.models import create_model
from interlace.temporal import TemporalInterlace


@dataclass(frozen=True)
class Row:
    """One choice of groups.

    Example:
        >>> from interlace.ablation import Row
        >>> Row(2, mirrored=True).name, str(Row(2, mirrored=True)), str(Row(4, mirrored=False))
        ('2-mirrored', '2 groups, mirrored', '4 groups')
    """

    num_groups: int
    """Groups with an offset of their own."""
    mirrored: bool
    """As many again with the opposite offsets."""

    @property
    def name(self) -> str:
        """As on the command line and in names of folders."""
        return f"{self.num_groups}{'-mirrored' if self.mirrored else ''}"

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the network's builder."""
        return {"num_groups": self.num_groups, "mirrored": self.mirrored}

    def __str__(self) -> str:
        groups = "1 group" if self.num_groups == 1 else f"{self.num_groups} groups"
        return f"{groups}, mirrored" if self.mirrored else groups


TABLE_5: dict[Row, float] = {
    Row(1, mirrored=True): 42.0,
    Row(2, mirrored=True): 42.9,
    Row(2, mirrored=False): 41.1,
    Row(4, mirrored=True): 42.4,
    Row(4, mirrored=False): 42.6,
}
"""The paper's rows and its top-1 accuracy: ResNet-50 from ImageNet, Something-Something V1."""


def parse_row(name: str) -> Row:
    """The row of a name like 2 or 2-mirrored.

    Raises:
        ValueError: the name is no such thing.

    Example:
        >>> from interlace.ablation import parse_row
        >>> parse_row("4-mirrored")
        Row(num_groups=4, mirrored=True)
    """
    found = re.fullmatch(r"([1-9]\d*)(-mirrored)?", name)
    if not found:
        raise ValueError(f"row {name!r} is not a number of groups, with or without -mirrored: 2, 2-mirrored")
    return Row(int(found[1]), mirrored=found[2] is not None)


@dataclass(frozen=True)
class RowFacts:
    """What is known of a row's network before it is trained."""

    own_parameters: int = 0
    """Parameters of the TIN modules."""
    note: str = ""
    """What is odd about it."""
    problem: str = ""
    """Why it cannot be built."""


def row_facts(row: Row, model: str, **arguments: Any) -> RowFacts:
    """Build the network of a row without memory, and look at its folds.

    Where a fold does not divide into the groups, TIN's builder takes a smaller one, which moves fewer channels;
    where none fits, there is no network. Both are said, because the row is then not comparable with the others.

    Args:
        row: the groups.
        model: METHOD_BACKBONE.
        arguments: further ones of ``create_model``.

    Raises:
        ValueError: the network has no groups to choose, or does not exist.

    Example:
        >>> from interlace.ablation.rows import Row, row_facts
        >>> row_facts(Row(2, mirrored=True), "tin_mobilenetv2_100", num_classes=5).note
        'smaller folds in 1 of 10 blocks, to divide into 4 groups'
    """
    try:
        usual = _folds(model, **arguments, num_groups=1, mirrored=False)
    except ValueError as error:
        raise ValueError(f"the ablation is of TIN's groups, e.g. in tin_resnet18, but {error}") from error
    try:
        modules = _folds(model, **arguments, **row.arguments)
    except ValueError as error:
        return RowFacts(problem=f"cannot be built: {error}")
    smaller = sum(module.fold != fold.fold for module, fold in zip(modules, usual, strict=True))
    groups = row.num_groups * (2 if row.mirrored else 1)
    return RowFacts(
        own_parameters=sum(p.numel() for module in modules for p in module.parameters()),
        note=f"smaller folds in {smaller} of {len(modules)} blocks, to divide into {groups} groups"
        if smaller
        else "",
    )


def _folds(model: str, **arguments: Any) -> list[TemporalInterlace]:
    with torch.device("meta"):
        network = create_model(model, **{**arguments, "pretrained": False})
    return [module for module in network.modules() if isinstance(module, TemporalInterlace)]
