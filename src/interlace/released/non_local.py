"""Names of the non-local blocks behind blocks of a ResNet: `.nl` of TSM's authors, `.non_local_block` of MMAction2.

Their 1x1x1 convolutions are 3-D. Ours run over all positions in a row, so the axes of size 1 become one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from interlace.released.rules import LEAF, Rules

_OURS = r"backbone.\g<stage>.non_local\g<block>"
_BEHIND = r"\.(?P<stage>layer\d)(?:\.net)?\.(?P<block>\d+)"

# `g.0` stands before a max pool, `g` alone.
_AUTHORS = rf"base_model{_BEHIND}(?P<non_local>\.nl)"
NON_LOCAL: Rules = (
    (rf"{_AUTHORS}\.theta\.{LEAF}", rf"{_OURS}.theta.\g<leaf>"),
    (rf"{_AUTHORS}\.(?P<part>g|phi)(?P<subsample>\.0)?\.{LEAF}", rf"{_OURS}.\g<part>.\g<leaf>"),
    (rf"{_AUTHORS}\.W\.0\.{LEAF}", rf"{_OURS}.w.\g<leaf>"),
    (rf"{_AUTHORS}\.W\.1\.{LEAF}", rf"{_OURS}.norm.\g<leaf>"),
)

_MMACTION2 = rf"backbone{_BEHIND}(?P<non_local>(?P<open_similarity>\.non_local_block))"
NON_LOCAL_OF_MMACTION2: Rules = (
    (rf"{_MMACTION2}\.theta\.conv\.{LEAF}", rf"{_OURS}.theta.\g<leaf>"),
    (rf"{_MMACTION2}\.(?P<part>g|phi)(?P<subsample>\.0)?\.conv\.{LEAF}", rf"{_OURS}.\g<part>.\g<leaf>"),
    (rf"{_MMACTION2}\.conv_out\.conv\.{LEAF}", rf"{_OURS}.w.\g<leaf>"),
    (rf"{_MMACTION2}\.conv_out\.bn\.{LEAF}", rf"{_OURS}.norm.\g<leaf>"),
    (rf"{_MMACTION2}\.concat_project\.conv\.{LEAF}", rf"{_OURS}.similarity.w_f.\g<leaf>"),
)


def along_positions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of non-local blocks with one axis of positions, all others as they are.

    MMAction2's last convolution has no bias, as a batch norm follows; ours gets one of zeros.

    Example:
        >>> import torch
        >>> from interlace.released.non_local import along_positions
        >>> state = along_positions({"backbone.layer2.non_local0.w.weight": torch.zeros(16, 8, 1, 1, 1)})
        >>> [(name, tuple(value.shape)) for name, value in state.items()]
        [('backbone.layer2.non_local0.w.weight', (16, 8, 1)), ('backbone.layer2.non_local0.w.bias', (16,))]
    """
    ours = {}
    for name, value in state.items():
        if ".non_local" in name and name.endswith(".w_f.weight"):
            value = value.flatten(1)
        elif ".non_local" in name and value.dim() == 5:
            value = value.flatten(2)
        ours[name] = value
    for name in [name for name in ours if ".non_local" in name and name.endswith(".w.weight")]:
        ours.setdefault(
            name.removesuffix("weight") + "bias", torch.zeros(len(ours[name]), dtype=ours[name].dtype)
        )
    return ours


def similarity_of(names: Mapping[str, Tensor]) -> str:
    """What the blocks compare by, as far as it leaves names: concatenation, gaussian, else embedded_gaussian."""
    if any(name.endswith(".similarity.w_f.weight") for name in names):
        return "concatenation"
    if not any(".non_local" in name and name.endswith(".theta.weight") for name in names):
        return "gaussian"
    return "embedded_gaussian"
