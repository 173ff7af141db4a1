"""Networks by name: METHOD_BACKBONE, e.g. tin_resnet50; or "ensemble", of networks of any names."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm

from interlace.models.classifier import VideoClassifier
from interlace.models.ensembles import ENSEMBLES
from interlace.models.methods import BACKBONES, METHODS
from interlace.models.modality import Modality, channels_of
from interlace.models.model import VideoModel
from interlace.models.plain import OWN_NETWORKS, is_backbone, pretrained_cfg
from interlace.models.region_graph import I3DRegionGraph
from interlace.models.weights import load_backbone_weights

ALIASES = {"resnext50": "resnext50_32x4d", "resnext101": "resnext101_32x8d"}


def create_model(
    name: str,
    *,
    num_classes: int,
    num_segments: int | None = None,
    pretrained: bool | str | Path = False,
    dropout: float = 0.5,
    in_chans: int = 3,
    modality: Modality | None = None,
    mean: tuple[float, ...] | list[float] | None = None,
    std: tuple[float, ...] | list[float] | None = None,
    **kwargs: Any,
) -> VideoModel:
    """Build a network by name.

    Args:
        name: METHOD_BACKBONE, e.g. tin_resnet50: a method, and timm's name of the backbone (see
            :func:`list_models`).
        num_classes: classes (K).
        num_segments: frames in a clip (T), of an ensemble all parts together; None for as many as the method was
            published with.
        pretrained: True for timm's weights from its hub; a file for those of the plain timm network or of one
            of ours, strictly but for the classifier (and temporal modules, if the file's network has none). An
            ensemble gives it to each member, but for a file of such an ensemble.
        dropout: probability of dropping a feature before the classifier.
        in_chans: color channels of a frame; RGB weights are summed for 1 channel, as timm does.
        modality: what the network sees: rgb, flow (stacks of 5) or rgb_diff; None is rgb, and rgb_flow for
            two-stream networks, which see nothing else.
        mean: what preprocessing subtracts; None takes what timm gives for these weights.
        std: and what it divides by.
        kwargs: arguments of the builder (interlace.models.tsm, tin, ...), and of timm's (pad_type, ...); of an
            ensemble ``weights``, ``average`` and ``multi_label`` (:class:`interlace.models.Ensemble`), and
            ``members`` of the one named "ensemble".

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
    if num_classes < 1 or (num_segments is not None and num_segments < 1):
        raise ValueError(f"num_classes={num_classes} and num_segments={num_segments} must be at least 1")
    arguments = {
        "num_classes": num_classes,
        "num_segments": num_segments,
        "pretrained": pretrained is True,
        "dropout": dropout,
        "in_chans": in_chans,
        **{
            name: value
            for name, value in (("modality", modality), ("mean", mean), ("std", std))
            if value is not None
        },
        **kwargs,
    }
    model: VideoModel
    if method in ENSEMBLES:
        builder = f"{method}_{backbone}" if backbone else method
        model = ENSEMBLES[method].build(create_model, backbone, builder=builder, **arguments)
    else:
        model = _classifier(method, backbone, **arguments)
    if isinstance(pretrained, str | Path):
        load_backbone_weights(model, pretrained)
    return model


def _classifier(
    method: str,
    backbone: str,
    *,
    num_classes: int,
    num_segments: int | None,
    pretrained: bool,
    dropout: float,
    in_chans: int,
    modality: Modality = "rgb",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    **kwargs: Any,
) -> VideoClassifier:
    """One network, its head and its consensus."""
    chosen = METHODS[method]
    num_segments = chosen.num_segments if num_segments is None else num_segments
    kwargs = {**chosen.of_length(num_segments), **kwargs}
    network, head, consensus = chosen.build(
        backbone,
        num_classes=num_classes,
        num_segments=num_segments,
        pretrained=pretrained,
        in_chans=in_chans,
        modality=modality,
        **kwargs,
    )
    channels = channels_of(modality, in_chans)
    mean = tuple(mean or _per_channel(pretrained_cfg(network)["mean"], channels, modality, 0.5))
    std = tuple(std or _per_channel(pretrained_cfg(network)["std"], channels, modality))
    if not len(mean) == len(std) == channels:
        raise ValueError(
            f"mean={mean} and std={std} need {channels} values each, for {modality} and in_chans={in_chans}"
        )
    if not all(value > 0 for value in std):
        raise ValueError(f"std={std}: preprocessing divides by it, so every value must be above 0")
    if isinstance(network, I3DRegionGraph):
        network.expect(mean, std)
    return VideoClassifier(
        network,
        head=head,
        consensus=consensus,
        num_classes=num_classes,
        num_segments=num_segments,
        dropout=dropout,
        streams=chosen.streams,
        in_chans=channels,
        modality=modality,
        mean=mean,
        std=std,
        builder=f"{method}_{backbone}",
        builder_args={
            "num_classes": num_classes,
            "num_segments": num_segments,
            "dropout": dropout,
            "in_chans": in_chans,
            **({} if modality == "rgb" else {"modality": modality}),
            "mean": list(mean),
            "std": list(std),
            **kwargs,
        },
    )


def list_models(pattern: str = "*") -> list[str]:
    """Names that :func:`create_model` is tested with; other timm networks of the same families work too.

    Example:
        >>> import interlace
        >>> interlace.list_models("tin_*e*_resnet18")
        ['tin_en_resnet18', 'tin_paper_resnet18', 'tin_released_resnet18']
    """
    listed = {name: row.backbones for name, row in METHODS.items()} | {
        name: row.backbones for name, row in ENSEMBLES.items()
    }
    names = [f"{name}_{backbone}" for name, backbones in listed.items() for backbone in backbones]
    return sorted(fnmatch.filter(names, pattern))


def parse_name(name: str) -> tuple[str, str]:
    """Method and timm name; ValueError with the nearest names if there is no such network.

    Example:
        >>> from interlace.models.create import parse_name
        >>> parse_name("two_stream_tsm_resnet50")
        ('two_stream_tsm', 'resnet50')
    """
    if name == "ensemble":  # its members have names
        return name, ""
    methods = [*METHODS, *(known for known in ENSEMBLES if known != "ensemble")]
    method = max((known for known in methods if name.startswith(f"{known}_")), key=len, default="")
    backbone = name.removeprefix(f"{method}_")
    backbone = ALIASES.get(backbone, backbone)
    if method and is_backbone(backbone):
        return method, backbone
    if method:
        known = {*BACKBONES, *ALIASES, *OWN_NETWORKS, *timm.list_models()}
        nearest = [f"{method}_{near}" for near in difflib.get_close_matches(backbone, known, n=3)]
    else:
        nearest = difflib.get_close_matches(name, list_models(), n=3)
    hint = f"did you mean {', '.join(nearest)}?" if nearest else "`interlace models` lists the names"
    raise ValueError(
        f"there is no network {name!r} (METHOD_BACKBONE, METHOD one of {', '.join(methods)}); {hint}"
    )


def with_num_segments(model: VideoModel, num_segments: int) -> VideoModel:
    """The same network for clips of another number of frames, with the same weights.

    Shifts and plain networks do not depend on the number. TIN's offset nets do (they have T x T layers):
    these are resampled along time, which keeps what they do only roughly; train on a little, or check the
    accuracy. An ensemble changes all its parts in proportion.

    Raises:
        ValueError: weights for another number of frames cannot be made of these (relations), or the parts of an
            ensemble would not be whole.

    Example:
        >>> import torch, interlace
        >>> from interlace.models import with_num_segments
        >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4)
        >>> with_num_segments(model, 6)(torch.zeros(2, 6, 3, 64, 64)).shape
        torch.Size([2, 5])
    """
    other = create_model(model.builder, **{**model.builder_args, "num_segments": num_segments})
    state = model.state_dict()
    for name, module in model.named_modules():
        if hasattr(module, "resampled_state"):
            own = other.get_submodule(name).num_segments  # of its own stage, of its own member
            resampled = module.resampled_state(own)
            state.update({f"{name}.{key}": value for key, value in resampled.items()})
    expected = {key: value.shape for key, value in other.state_dict().items()}
    found = {key: value.shape for key, value in state.items()}
    fixed = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if fixed:
        raise ValueError(
            f"{model.builder} has weights of its own for each number of frames ({fixed[0]}, ...), here "
            f"num_segments={model.num_segments}; train one with num_segments={num_segments}"
        )
    other.load_state_dict(state)
    parameter = next(model.parameters())
    return other.to(parameter.device, parameter.dtype).train(model.training)


def _per_channel(
    rgb: tuple[float, ...], channels: int, modality: Modality, of_flow: float | None = None
) -> tuple[float, ...]:
    """The values of RGB for three channels, else their mean for each; flow lies around its own middle."""
    mean = sum(rgb) / len(rgb)
    if modality == "flow":
        return (mean if of_flow is None else of_flow,) * channels
    if modality == "rgb_diff" and channels % len(rgb) == 0:
        return tuple(rgb) * (channels // len(rgb))
    return tuple(rgb) if channels == len(rgb) else (mean,) * channels
