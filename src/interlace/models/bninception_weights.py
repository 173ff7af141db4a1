"""The published weights of BNInception: where they lie, and our names for theirs.

`inception_3a_double_3x3_1.weight` is ours as `inception_3a.three_twice.1.conv.weight`, and the batch norm behind it,
`inception_3a_double_3x3_1_bn.weight`, as `inception_3a.three_twice.1.norm.weight`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Ported to PyTorch from Caffe by the authors of TSN and the maintainer of pretrained-models.pytorch.
URL = "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"

CLASSIFIERS = ("last_linear", "fc")
"""Its names in the two published forms of the file."""

_FIRST = "conv1_7x7_s2.weight"
_STEM = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2_reduce", "conv2_3x3": "conv2"}
_BRANCHES = {
    "1x1": "one",
    "3x3_reduce": "three.0",
    "3x3": "three.1",
    "double_3x3_reduce": "three_twice.0",
    "double_3x3_1": "three_twice.1",
    "double_3x3_2": "three_twice.2",
    "pool_proj": "pooled",
}


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names for the published weights, without the classifier; what has another name keeps it.

    The published network sees BGR, ours RGB: the first convolution is turned round. Old files have batch norms of
    shape (1, C), and no count of the batches that their statistics are from.

    Example:
        >>> import torch
        >>> from interlace.models.bninception_weights import from_published
        >>> list(from_published({"inception_3a_3x3_reduce.bias": torch.zeros(64)}))
        ['inception_3a.three.0.conv.bias']
    """
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        layer, _, parameter = name.rpartition(".")
        if layer in CLASSIFIERS:
            continue
        if name == _FIRST and value.shape[1] == 3:
            value = value.flip(1)
        new = _our_layer(layer)
        is_norm = new != layer and new.endswith(".norm")
        ours[f"{new}.{parameter}"] = value.flatten() if is_norm and value.dim() else value
        if is_norm and parameter == "running_mean":
            ours.setdefault(f"{new}.num_batches_tracked", torch.tensor(0))
    return ours


def _our_layer(layer: str) -> str:
    """E.g. inception_3a_3x3_bn -> inception_3a.three.1.norm; the layer itself if it is none of the published."""
    published, kind = (layer.removesuffix("_bn"), "norm") if layer.endswith("_bn") else (layer, "conv")
    if published in _STEM:
        return f"{_STEM[published]}.{kind}"
    module, branch = published[: len("inception_3a")], published[len("inception_3a_") :]
    if module.startswith("inception_") and branch in _BRANCHES:
        return f"{module}.{_BRANCHES[branch]}.{kind}"
    return layer
