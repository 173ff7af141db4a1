"""Networks by name: METHOD_BACKBONE, e.g. tin_resnet50."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import timm
from torch import nn

from interlace.models.classifier import VideoClassifier
from interlace.models.plain import pretrained_cfg
from interlace.models.tin import tin
from interlace.models.tsm import tsm
from interlace.models.tsn import tsn
from interlace.models.weights import load_backbone_weights
from interlace.temporal import TemporalInterlace

METHODS: dict[str, Callable[..., nn.Module]] = {"tsn": tsn, "tsm": tsm, "tin": tin}
ALIASES = {"resnext50": "resnext50_32x4d", "resnext101": "resnext101_32x8d"}
# The tests build and run each of these. Other timm networks of the same families work too.
BACKBONES = (
    "convnext_atto",
    "convnext_femto",
    "convnext_nano",
    "convnext_pico",
    "convnext_small",
    "convnext_tiny",
    "convnextv2_atto",
    "convnextv2_nano",
    "convnextv2_tiny",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_lite0",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv2_140",
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "regnetx_008",
    "regnetx_016",
    "regnety_008",
    "regnety_016",
    "regnety_032",
    "resnet18",
    "resnet26",
    "resnet34",
    "resnet50",
    "resnet50d",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "seresnet50",
    "tf_efficientnet_b0",
    "tf_efficientnetv2_s",
    "wide_resnet50_2",
)


def create_model(
    name: str,
    *,
    num_classes: int,
    num_segments: int = 8,
    pretrained: bool | str | Path = False,
    dropout: float = 0.5,
    in_chans: int = 3,
    mean: tuple[float, ...] | list[float] | None = None,
    std: tuple[float, ...] | list[float] | None = None,
    **kwargs: Any,
) -> VideoClassifier:
    """Build a network by name.

    Args:
        name: METHOD_BACKBONE: tsn, tsm or tin, and timm's name of the backbone (see :func:`list_models`).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        pretrained: True for timm's weights from its hub; a file for those of the plain timm network or of one
            of ours, strictly but for the classifier (and temporal modules, if the file's network has none).
        dropout: probability of dropping a feature before the classifier.
        in_chans: channels of a frame; RGB weights are summed for 1 channel, as timm does.
        mean: what preprocessing subtracts; None takes what timm gives for these weights.
        std: and what it divides by.
        kwargs: arguments of the builder (interlace.models.tsm, tin), and of timm's (pad_type, ...).

    Raises:
        ValueError: the name or an argument is not known; the message has the nearest names.
        WeightsError: the initial weights cannot be had, or do not fit.

    Example:
        >>> import torch, interlace
        >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4)
        >>> model(torch.zeros(2, 4, 3, 64, 64)).shape
        torch.Size([2, 5])
    """
    method, backbone = parse_name(name)
    if num_classes < 1 or num_segments < 1:
        raise ValueError(f"num_classes={num_classes} and num_segments={num_segments} must be at least 1")
    network = METHODS[method](
        backbone, num_segments=num_segments, pretrained=pretrained is True, in_chans=in_chans, **kwargs
    )
    mean = tuple(mean or _per_channel(pretrained_cfg(network)["mean"], in_chans))
    std = tuple(std or _per_channel(pretrained_cfg(network)["std"], in_chans))
    if not len(mean) == len(std) == in_chans:
        raise ValueError(f"mean={mean} and std={std} need in_chans={in_chans} values each")
    model = VideoClassifier(
        network,
        num_features=cast(int, network.head_hidden_size),
        num_classes=num_classes,
        num_segments=num_segments,
        dropout=dropout,
        in_chans=in_chans,
        mean=mean,
        std=std,
        builder=f"{method}_{backbone}",
        builder_args={
            "num_classes": num_classes,
            "num_segments": num_segments,
            "dropout": dropout,
            "in_chans": in_chans,
            "mean": list(mean),
            "std": list(std),
            **kwargs,
        },
    )
    if isinstance(pretrained, str | Path):
        load_backbone_weights(model, pretrained)
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Names that :func:`create_model` is tested with; other timm networks of the same families work too.

    Example:
        >>> import interlace
        >>> interlace.list_models("*_resnet50")
        ['tin_resnet50', 'tsm_resnet50', 'tsn_resnet50']
    """
    names = [f"{method}_{backbone}" for method in METHODS for backbone in BACKBONES]
    return sorted(fnmatch.filter(names, pattern))


def parse_name(name: str) -> tuple[str, str]:
    """Method and timm name; ValueError with the nearest names if there is no such network."""
    method, _, backbone = name.partition("_")
    backbone = ALIASES.get(backbone, backbone)
    if method in METHODS and timm.is_model(backbone.partition(".")[0]):
        return method, backbone
    if method in METHODS:
        known = {*BACKBONES, *ALIASES, *timm.list_models()}
        nearest = [f"{method}_{near}" for near in difflib.get_close_matches(backbone, known, n=3)]
    else:
        nearest = difflib.get_close_matches(name, list_models(), n=3)
    hint = f"did you mean {', '.join(nearest)}?" if nearest else "`interlace models` lists the names"
    raise ValueError(
        f"there is no network {name!r} (METHOD_BACKBONE, METHOD one of {', '.join(METHODS)}); {hint}"
    )


def with_num_segments(model: VideoClassifier, num_segments: int) -> VideoClassifier:
    """The same network for clips of another number of frames, with the same weights.

    Shifts and plain networks do not depend on the number. TIN's offset nets do (they have T x T layers):
    these are resampled along time, which keeps what they do only roughly; train on a little, or check the
    accuracy.

    Example:
        >>> import torch, interlace
        >>> from interlace.models import with_num_segments
        >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4)
        >>> with_num_segments(model, 6)(torch.zeros(2, 6, 3, 64, 64)).shape
        torch.Size([2, 5])
    """
    state = model.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, TemporalInterlace):
            resampled = module.resampled_state(num_segments)
            state.update({f"{name}.{key}": value for key, value in resampled.items()})
    other = create_model(model.builder, **{**model.builder_args, "num_segments": num_segments})
    other.load_state_dict(state)
    parameter = next(model.parameters())
    return other.to(parameter.device, parameter.dtype).train(model.training)


def _per_channel(rgb: tuple[float, ...], in_chans: int) -> tuple[float, ...]:
    """The values of RGB for three channels, else their mean for each."""
    return tuple(rgb) if in_chans == len(rgb) else (sum(rgb) / len(rgb),) * in_chans
