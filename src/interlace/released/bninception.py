"""Names of the BNInception that TSN and TRN were released with.

The layers keep their Caffe names (`inception_3a_3x3_reduce`) until :mod:`interlace.models.bninception_weights`
gives them ours and turns the first convolution from BGR to RGB.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from interlace.models.bninception_weights import from_published
from interlace.released.rules import LEAF, Rules

BNINCEPTION: Rules = (
    (
        rf"base_model\.(?P<bninception>(?:conv[12]|inception)_\w+)\.{LEAF}",
        r"backbone.\g<bninception>.\g<leaf>",
    ),
)
_FIRST = "conv1_7x7_s2.weight"


def with_our_layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names for `backbone.` and a Caffe name; all else as it is.

    Raises:
        ValueError: the first convolution, which is to be turned from BGR to RGB, is none of pictures.

    Example:
        >>> import torch
        >>> from interlace.released.bninception import with_our_layers
        >>> list(with_our_layers({"backbone.conv2_3x3_bn.bias": torch.zeros(192), "head.bias": torch.zeros(5)}))
        ['backbone.conv2.norm.bias', 'head.bias']
    """
    published = {
        name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")
    }
    first = published.get(_FIRST)
    if first is not None and first.dim() != 4:
        raise ValueError(f"its first convolution has {first.dim()} axes, not 4")
    if first is not None and first.shape[1] == 15:  # differences of 5 BGR pictures
        published[_FIRST] = first.unflatten(1, (5, 3)).flip(2).flatten(1, 2)
    ours = {f"backbone.{name}": value for name, value in from_published(published).items()}
    return {**ours, **{name: value for name, value in state.items() if not name.startswith("backbone.")}}
