"""Which method a translated file is of, and its arguments: by what the released names show, and by shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from interlace.models.tin import RELEASED_OFFSETS
from interlace.released.backbones import blocks_of, size_of
from interlace.released.non_local import similarity_of

FOLD_DIV = 8
"""What TSM was released with; no weight depends on it."""
Marks = Mapping[str, set[str]]

METHODS = {
    frozenset[str](): "tsn",
    frozenset({"shift"}): "tsm",
    frozenset({"second_conv", "shift"}): "tsm_two_conv",
    frozenset({"in_place"}): "tsm_in_place",
    frozenset({"pool", "shift"}): "tsm_tpool",
    frozenset({"interlace"}): "tin_released",
    frozenset({"online"}): "tsm_causal",
    frozenset({"relation"}): "trn",
    frozenset({"single_relation"}): "trn_single",
    frozenset({"non_local"}): "tsn_nl",
    frozenset({"non_local", "shift"}): "tsm_nl",
    frozenset({"non_local", "second_conv", "shift"}): "tsm_nl",
    frozenset({"interlace", "non_local"}): "tin_nl",
}
"""What was found in the names, to the name's first part."""
_NETS = "temporal.offset_net"
_PARTS = frozenset().union(*METHODS)


def method_of(marks: Marks) -> str:
    """The first part of the network's name, e.g. tsm_two_conv.

    Raises:
        ValueError: parts that none of our networks has together.

    Example:
        >>> from interlace.released.method import method_of
        >>> method_of({"shift": {"backbone.layer1.0.conv1.weight"}, "mobilenet": {"backbone.conv_stem.weight"}})
        'tsm'
    """
    parts = frozenset(_PARTS & marks.keys())
    if parts not in METHODS:
        raise ValueError(f"a network with {', '.join(sorted(parts))} together is not among ours")
    return METHODS[parts]


def method_arguments(
    method: str, state: Mapping[str, Tensor], marks: Marks, fold_div: int | None
) -> dict[str, Any]:
    """Keyword arguments of the method's builder.

    Args:
        method: as of :func:`method_of`.
        state: weights under our names.
        marks: what their released names have shown.
        fold_div: TSM's divisor of the channels, if it is known from elsewhere.

    Raises:
        ValueError: our network has no such form.
    """
    arguments: dict[str, Any] = {}
    if method.startswith("tsm"):
        arguments["fold_div"] = fold_div or FOLD_DIV
    elif fold_div is not None:
        raise ValueError(f"fold_div={fold_div} is for networks of shifts, but this is {method}; leave it out")
    if method.startswith("tin"):
        arguments |= _interlacing(state)
    if method.startswith("trn"):
        arguments["bottleneck"] = size_of(state, "head.weight", 0)
    if method.endswith("_nl"):
        arguments |= _non_local(state, marks)
    if method == "tin_nl":
        arguments |= RELEASED_OFFSETS
    return arguments | _spacing(method, state, marks)


def _interlacing(state: Mapping[str, Tensor]) -> dict[str, int]:
    """TIN's fold and groups: what its nets see of the channels of each block, and how many offsets they give."""
    found = set()
    for block in (name.removesuffix(f".{_NETS}.conv.weight") for name in state):
        names = [f"{block}.{part}" for part in ("weight", f"{_NETS}.conv.weight", f"{_NETS}.fc2.bias")]
        if all(name in state for name in names):
            channels, fold, num_groups = map(partial(size_of, state), names, (1, 1, 0))
            found.add((channels // max(1, fold), num_groups))
    if len(found) != 1:
        raise ValueError(f"its blocks have several fold divisors and numbers of groups: {sorted(found)}")
    [(shift_div, num_groups)] = found
    return {"shift_div": shift_div, "num_groups": num_groups}


def _spacing(method: str, state: Mapping[str, Tensor], marks: Marks) -> dict[str, int]:
    """Which blocks and convolutions shift, where it is not what the method does by itself."""
    arguments = {"num_convs": 2} if method == "tsm_nl" and "second_conv" in marks else {}
    stages = blocks_of(name.removeprefix("backbone.") for name in state)
    names = marks.get("shift", set()) | marks.get("in_place", set())
    shifted = {tuple(name.split(".")[1:3]) for name in names}
    is_deep = max(map(len, stages.values()), default=0) >= 23
    by_itself = 2 if is_deep and method != "tsm_two_conv" else 1
    for every in (1, 2):
        chosen = {(stage, str(block)) for stage, blocks in stages.items() for block in blocks[::every]}
        if shifted and shifted == chosen and every != by_itself:
            arguments["every"] = every
    return arguments


def _non_local(state: Mapping[str, Tensor], marks: Marks) -> dict[str, Any]:
    places = _places(marks["non_local"])
    subsampled = _places(marks.get("subsample", ()))
    if subsampled not in (set(), places):
        raise ValueError(
            f"of its non-local blocks some subsample what they look at ({', '.join(sorted(subsampled))}) and others "
            "do not; ours all do, or none"
        )
    similarity = similarity_of(state)
    return {
        "places": sorted(places),
        **({} if subsampled else {"subsample": False}),
        **({} if similarity == "embedded_gaussian" else {"similarity": similarity}),
    }


def _places(names: Iterable[str]) -> set[str]:
    """Blocks behind which non-local ones stand, by our names of their weights."""
    return {re.sub(r"^backbone\.(\w+)\.non_local(\d+)\..*", r"\1.\2", name) for name in names}
