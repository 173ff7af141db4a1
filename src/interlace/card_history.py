"""What cards of older files mean today: names stay, but what stands for an argument not given may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.models.create import parse_name
from interlace.models.tin import RELEASED_OFFSETS

FORMAT = 2
"""Raised when an older version of this package could not read what a newer one writes, or would misread it; of
checkpoints, and of all files that name a network as they do."""

WITH_TIN = ("tin", "tin_nl", "tin_en", "two_stream_tin")
RELEASED_TIN: dict[str, Any] = {
    "shift_div": 4,
    "num_groups": 2,
    "mirrored": True,
    **RELEASED_OFFSETS,
}
"""What these networks had up to format 1, where an argument was not given: the form that TIN was released in."""


def arguments_today(model: str, arguments: Mapping[str, Any], written_format: int) -> dict[str, Any]:
    """Arguments with which a builder makes today what it made when the card was written.

    Args:
        model: name of the network.
        arguments: of its builder, as in the card.
        written_format: of the file.

    Example:
        >>> from interlace.card_history import arguments_today
        >>> today = arguments_today("tin_resnet50", {"num_classes": 5, "offset_range": 4.0}, 1)
        >>> today["offset_range"], today["initial_offset"]
        (4.0, 0.5)
    """
    if written_format > 1:
        return dict(arguments)
    if isinstance(members := arguments.get("members"), list):
        return {**arguments, "members": [_member_today(member, written_format) for member in members]}
    return {**(RELEASED_TIN if _method(model) in WITH_TIN else {}), **arguments}


def extractor_today(spec: Mapping[str, Any], written_format: int) -> dict[str, Any]:
    """What a file of features' networks (`extractor.safetensors`), or a card that names them, means today.

    Args:
        spec: as it stands in the file.
        written_format: of that file.

    Example:
        >>> from interlace.card_history import extractor_today
        >>> spec = {"audio": {"name": "log_mel"}, "visual": {"name": "tin_resnet18", "image_size": 64}}
        >>> extractor_today(spec, 1)["visual"]["initial_offset"]
        0.5
    """
    visual = spec.get("visual")
    if not isinstance(visual, Mapping):
        return dict(spec)  # its builder says what is wrong
    return {**spec, "visual": arguments_today(str(visual.get("name")), visual, written_format)}


def _member_today(member: Any, written_format: int) -> Any:
    if not isinstance(member, Mapping) or not isinstance(member.get("model_args", {}), Mapping):
        return member  # its builder says what is wrong
    own = arguments_today(str(member.get("model")), member.get("model_args", {}), written_format)
    return {**member, "model_args": own} if own else member


def _method(model: str) -> str:
    try:
        return parse_name(model)[0]
    except ValueError:  # its builder says so
        return ""
