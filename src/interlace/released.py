"""The names of the released checkpoints' weights, translated to ours: one table a format.

Each rule is a pattern of a whole released name and what becomes of it. A name that no rule covers is an
error, and what comes out is loaded strictly: nothing is left over and nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

Rules = tuple[tuple[str, str], ...]

_LEAF = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_HEAD: Rules = (
    (rf"new_fc\.{_LEAF}", r"head.\1"),
    (rf"base_model\.fc\.{_LEAF}", r"head.\1"),  # trained without dropout, the classifier stayed where it was
)
_STEM: Rules = ((rf"base_model\.(conv1|bn1)\.{_LEAF}", r"backbone.\1.\2"),)
_BLOCK: Rules = (
    (rf"base_model\.(layer\d\.\d+\.(?:conv\d|bn\d|downsample\.\d))\.{_LEAF}", r"backbone.\1.\2"),
)
TABLES: dict[str, Rules] = {
    # github.com/yjxiong/tsn-pytorch and github.com/mit-han-lab/temporal-shift-module
    "tsn": (*_HEAD, *_STEM, *_BLOCK),
    # TSM wraps the convolution: conv1.net (and conv2.net in the TIN authors' "two path" TSM)
    "tsm": (
        *_HEAD,
        *_STEM,
        (r"base_model\.(layer\d\.\d+\.conv\d)\.net\.weight", r"backbone.\1.weight"),
        *_BLOCK,
    ),
    # in place it wraps the block: layer1.0.net
    "tsm_in_place": (
        *_HEAD,
        *_STEM,
        (
            rf"base_model\.(layer\d\.\d+)\.net\.((?:conv\d|bn\d|downsample\.\d))\.{_LEAF}",
            r"backbone.\1.\2.\3",
        ),
    ),
    # github.com/deepcs233/TIN: net1 is the interlacing, net2 the convolution
    "tin": (
        *_HEAD,
        *_STEM,
        (r"base_model\.(layer\d\.\d+\.conv1)\.net2\.weight", r"backbone.\1.weight"),
        (
            rf"base_model\.(layer\d\.\d+\.conv1)\.net1\.biasnet\.net\.conv\.{_LEAF}",
            r"backbone.\1.temporal.offset_net.conv.\2",
        ),
        (
            rf"base_model\.(layer\d\.\d+\.conv1)\.net1\.biasnet\.net\.fc\.{_LEAF}",
            r"backbone.\1.temporal.offset_net.fc1.\2",
        ),
        (
            rf"base_model\.(layer\d\.\d+\.conv1)\.net1\.biasnet\.net\.lastlayer\.{_LEAF}",
            r"backbone.\1.temporal.offset_net.fc2.\2",
        ),
        (
            rf"base_model\.(layer\d\.\d+\.conv1)\.net1\.weightnet\.net\.lastlayer\.{_LEAF}",
            r"backbone.\1.temporal.weight_net.conv.\2",
        ),
        *_BLOCK,
    ),
}


def convert_released(state_dict: Mapping[str, Tensor], method: str) -> dict[str, Tensor]:
    """Weights of a released TSN, TSM or TIN ResNet under our names, to be loaded strictly.

    Args:
        state_dict: the released weights; the `module.` that training on several GPUs put in front may stand.
        method: tsn, tsm, tsm_in_place or tin.

    Raises:
        ValueError: the method is unknown, or names are left over.

    Example:
        >>> import torch
        >>> from interlace.released import convert_released
        >>> released = {"module.base_model.layer1.0.conv1.net.weight": torch.zeros(64, 64, 1, 1)}
        >>> list(convert_released(released, "tsm"))
        ['backbone.layer1.0.conv1.weight']
    """
    if method not in TABLES:
        raise ValueError(f"no released format {method!r}; known are {', '.join(TABLES)}")
    converted, left_over = {}, []
    for name, value in state_dict.items():
        ours = _translate(name.removeprefix("module."), TABLES[method])
        if ours is None:
            left_over.append(name)
        else:
            converted[ours] = value
    if left_over:
        raise ValueError(
            f"{len(left_over)} of {len(state_dict)} weights are not those of a released {method} ResNet: "
            f"{', '.join(left_over[:3])}"
        )
    return converted


def _translate(name: str, rules: Rules) -> str | None:
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return None
