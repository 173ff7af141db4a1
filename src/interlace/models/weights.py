"""Initial weights from a file, strictly but for the classifier."""

from __future__ import annotations

from pathlib import Path

import timm
from timm.models import adapt_input_conv
from torch import Tensor

from interlace.models.backbone import temporal_keys
from interlace.models.classifier import VideoClassifier
from interlace.models.plain import WeightsError, first_line, pretrained_cfg

HEADS = ("head.", "consensus.")
"""What depends on the classes."""


def load_backbone_weights(model: VideoClassifier, path: str | Path) -> None:
    """Load everything but the classifier from a file: of the plain timm network, or of one of ours.

    Weights of temporal modules may be missing as a whole, if the file is of a network without them; nothing
    else may, and nothing may be left over.

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
    state = _without_head(_with_prefix(state), model)
    _adapt_first_conv(state, model)
    expected = model.state_dict()
    optional = set() if temporal_keys(model) & state.keys() else temporal_keys(model)
    new = {key for key in expected if key.startswith(HEADS)}
    missing = sorted(expected.keys() - state.keys() - optional - new)
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


def _depends_on_length(key: str) -> bool:
    """TIN's layers over the T frames of a clip."""
    return ".offset_net.fc1." in key or ".offset_net.fc2." in key


def _with_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names as in a VideoClassifier: those of a plain timm network get the prefix `backbone.`."""
    if any(key.startswith("backbone.") for key in state):
        return dict(state)
    return {f"backbone.{key}": value for key, value in state.items()}


def _without_head(state: dict[str, Tensor], model: VideoClassifier) -> dict[str, Tensor]:
    """Everything but the classifier, ours or timm's."""
    classifier = pretrained_cfg(model.backbone)["classifier"]  # e.g. fc, or head.fc
    names = [classifier] if isinstance(classifier, str) else list(classifier)
    of_timm = tuple(f"backbone.{name}." for name in names)
    return {key: value for key, value in state.items() if not key.startswith(HEADS + of_timm)}


def _adapt_first_conv(state: dict[str, Tensor], model: VideoClassifier) -> None:
    """Weights of RGB for a network with another number of channels: summed for one, repeated for more."""
    first = pretrained_cfg(model.backbone)["first_conv"]
    key = f"backbone.{first}.weight"
    if key in state and state[key].shape[1] == 3 != model.in_chans:
        state[key] = adapt_input_conv(model.in_chans, state[key])
