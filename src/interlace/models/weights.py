"""Initial weights from a file, strictly but for the classifier."""

from __future__ import annotations

from pathlib import Path

import timm
from torch import Tensor

from interlace.models.backbone import temporal_keys
from interlace.models.classifier import VideoClassifier
from interlace.models.ensemble import Ensemble
from interlace.models.first_conv import adapt_weight
from interlace.models.modality import FLOW_LENGTH
from interlace.models.model import VideoModel
from interlace.models.plain import WeightsError, first_line, pretrained_cfg

HEADS = ("head.", "consensus.")
"""What depends on the classes."""


def load_backbone_weights(model: VideoModel, path: str | Path) -> None:
    """Load everything but the classifier from a file: of the plain image network, or of one of ours.

    Weights that an image network cannot have may be missing as a whole, if the file is of a network without them
    (temporal modules, non-local blocks, the 3-D half of ECO); nothing else may, and nothing may be left over. A
    network that takes image weights in another form says how (``from_image_weights``: I3D repeats them along time).
    Each member of an ensemble takes its own part of a file of such an ensemble, and all of any other file.

    Args:
        model: receives the weights.
        path: .safetensors, or .pth/.bin, of which only tensors are read (weights_only).

    Raises:
        WeightsError: the file cannot be read, or its weights are not those of this network.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file of weights")
    try:
        state = timm.models.load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes each reader raise something else
        raise WeightsError(f"{path}: not a file of weights ({first_line(error)})") from error
    _load(model, state, path)


def _load(model: VideoModel, state: dict[str, Tensor], path: Path) -> None:
    members = {key.split(".")[1] for key in state if key.startswith("members.")}
    if isinstance(model, Ensemble) and not members:
        for network in model.networks:
            _load(network, state, path)
    elif isinstance(model, Ensemble):
        _load_members(model, state, len(members), path)
    elif members:
        raise WeightsError(
            f"{path}: weights of an ensemble of {len(members)} networks; {model.builder} is a single one, "
            "give it the file of one of them"
        )
    else:
        assert isinstance(model, VideoClassifier)
        _load_classifier(model, state, path)


def _load_members(model: Ensemble, state: dict[str, Tensor], num_members: int, path: Path) -> None:
    if num_members != len(model.members):
        raise WeightsError(
            f"{path}: weights of an ensemble of {num_members} networks; {model.builder} has {len(model.members)}"
        )
    for number, network in enumerate(model.networks):
        prefix = f"members.{number}."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        for name in ("mean", "std"):
            _load_normalisation(getattr(model.members[number], name), own.pop(name, None), network, path)
        _load(network, {key.removeprefix("model."): value for key, value in own.items()}, path)


def _load_normalisation(own: Tensor, in_file: Tensor | None, network: VideoModel, path: Path) -> None:
    if in_file is None:
        return
    if in_file.shape != own.shape:
        raise WeightsError(
            f"{path}: a network of its ensemble sees {len(in_file)} channels; {network.builder} in its place sees "
            f"{network.in_chans} ({network.modality})"
        )
    own.copy_(in_file)


def _load_classifier(model: VideoClassifier, state: dict[str, Tensor], path: Path) -> None:
    state = _as_network_has_them(_without_head(state, model), model)
    expected = {key: value for key, value in model.state_dict().items() if not key.startswith(HEADS)}
    missing = sorted(expected.keys() - state.keys() - _optional(model, state))
    left_over = sorted(state.keys() - expected.keys())
    misfits = [k for k in sorted(state.keys() & expected.keys()) if state[k].shape != expected[k].shape]
    if misfits and not missing and not left_over and all(_depends_on_length(key) for key in misfits):
        raise WeightsError(
            f"{path}: weights of {model.builder} for clips of another number of frames than "
            f"num_segments={model.num_segments}; build the network with theirs, load them, and convert it with "
            "interlace.models.with_num_segments"
        )
    for what, keys in (("lacks", missing), ("has unknown", left_over), ("has other sizes of", misfits)):
        if keys:
            raise WeightsError(
                f"{path}: not weights of {model.builder}; it {what} {len(keys)} weights, "
                f"e.g. {', '.join(keys[:3])}"
            )
    model.load_state_dict(state, strict=False)


def _optional(model: VideoClassifier, state: dict[str, Tensor]) -> set[str]:
    """What the file need not have: of each kind of weights that no image network has, all or none."""
    temporal = temporal_keys(model)
    non_local = {key for key in temporal if any(part.startswith("non_local") for part in key.split("."))}
    own_keys = getattr(model.backbone, "own_keys", set)
    own = {f"backbone.{key}" for key in own_keys()}
    kinds = (non_local, temporal - non_local, own - temporal)
    return {key for kind in kinds if not kind & state.keys() for key in kind}


def _depends_on_length(key: str) -> bool:
    """TIN's layers over the T frames of a clip, and the weights that r-TCN has for each."""
    return ".offset_net.fc1." in key or ".offset_net.fc2." in key or key.endswith(".temporal.weight")


def _without_head(state: dict[str, Tensor], model: VideoClassifier) -> dict[str, Tensor]:
    """Everything but the classifier, ours or the image network's, under the names of the backbone."""
    if any(key.startswith("backbone.") for key in state):
        state = {key: value for key, value in state.items() if not key.startswith(HEADS)}
    classifier = pretrained_cfg(model.backbone)["classifier"]  # e.g. fc, or head.fc
    names = [classifier] if isinstance(classifier, str) else list(classifier)
    named = {key.removeprefix("backbone."): value for key, value in state.items()}
    return {key: value for key, value in named.items() if not key.startswith(tuple(f"{n}." for n in names))}


def _as_network_has_them(state: dict[str, Tensor], model: VideoClassifier) -> dict[str, Tensor]:
    """Image weights in the network's form and for its channels; those of one of ours stay as they are."""
    state = getattr(model.backbone, "from_image_weights", dict)(state)
    key = f"{pretrained_cfg(model.backbone)['first_conv']}.weight"
    expected = model.backbone.state_dict().get(key)
    if key in state and expected is not None and state[key].shape[1] == 3 != expected.shape[1]:
        colors = {"rgb": model.in_chans, "rgb_diff": model.in_chans // (FLOW_LENGTH + 1)}.get(
            model.modality, 3
        )
        flat = state[key].flatten(2, -2)  # (D, C, H, W), or (D, C, T*H, W) of an inflated one
        adapted = adapt_weight(flat, model.modality, colors)
        state[key] = adapted.unflatten(2, state[key].shape[2:-1])
    return {f"backbone.{key}": value for key, value in state.items()}
