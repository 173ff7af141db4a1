"""Which of our networks a translated file is, read from its names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from interlace.released.backbones import backbone_name, modality_of, size_of
from interlace.released.method import FOLD_DIV, Marks, method_arguments, method_of

NUM_SEGMENTS = 8
"""What TSN and TSM were released with, where no weight depends on it."""


@dataclass(frozen=True)
class Network:
    """A network of ours by name and arguments."""

    model: str
    """E.g. tin_resnet50."""
    args: dict[str, Any]
    """Keyword arguments of create_model."""
    assumed: tuple[str, ...] = ()
    """What the file does not say, a sentence each."""


def read_network(
    state: Mapping[str, Tensor], marks: Marks, *, num_segments: int | None = None, fold_div: int | None = None
) -> Network:
    """The network that weights under our names are those of.

    Args:
        state: weights under our names.
        marks: what their released names have shown (see :mod:`interlace.released.rules`).
        num_segments: frames in a clip (T), where the file does not say.
        fold_div: TSM's divisor of the channels, which no file says.

    Raises:
        ValueError: there is no such network among ours, or it contradicts the arguments.
    """
    weights = {
        name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")
    }
    method = method_of(marks)
    backbone = backbone_name(weights, marks)
    modality = modality_of(weights)
    known = _known_segments(state, method)
    if known is not None and num_segments not in (None, known):
        raise ValueError(
            f"num_segments={num_segments}, but its weights are for clips of {known} frames; leave it out"
        )
    args = {
        "num_classes": _num_classes(state),
        "num_segments": known or num_segments or NUM_SEGMENTS,
        **({"dropout": 0.0} if "no_dropout" in marks else {}),
        **({} if modality == "rgb" else {"modality": modality, **_normalisation(modality, backbone)}),
        **method_arguments(method, state, marks, fold_div),
    }
    has_shifts = method.startswith("tsm")
    said = (
        (known is None and num_segments is None, f"num_segments={NUM_SEGMENTS}: no weight depends on it"),
        (has_shifts and fold_div is None, f"fold_div={FOLD_DIV}: a shift has no weights"),
        (
            "open_similarity" in marks and "similarity" not in args,
            "similarity: embedded Gaussian, unscaled; a scaled one and a dot product have the same names",
        ),
        ("online" in marks, "shifts from the past: a plain image network may have the same names"),
        (
            (method, backbone) == ("tsn", "bninception"),
            "plain TSN: TSM's BNInception has the same names, as a shift has no weights",
        ),
    )
    return Network(f"{method}_{backbone}", args, tuple(sentence for so, sentence in said if so))


def _normalisation(modality: str, backbone: str) -> dict[str, list[float]]:
    """As released where it is not ours: differences are not normalised, and BNInception sees 0..255."""
    of_pixels = backbone == "bninception"
    if modality == "rgb_diff":
        return {"mean": [0.0] * 18, "std": [1 / 255 if of_pixels else 1.0] * 18}
    return {"mean": [128 / 255] * 10, "std": [1 / 255] * 10} if of_pixels else {}


def _known_segments(state: Mapping[str, Tensor], method: str) -> int | None:
    """Frames in a clip, where weights depend on it: TIN's layers over time, and relations."""
    if method.startswith("tin"):
        layer = next((name for name in state if name.endswith(".offset_net.fc1.weight")), None)
        return None if layer is None else size_of(state, layer, 1)
    if method.startswith("trn"):
        for name in ("head.weight", "consensus.relations.0.fc1.weight"):
            if name not in state:
                raise ValueError(f"{name}, of its relations, is missing")
        bottleneck = max(1, size_of(state, "head.weight", 0))
        return size_of(state, "consensus.relations.0.fc1.weight", 1) // bottleneck
    return None


def _num_classes(state: Mapping[str, Tensor]) -> int:
    name = "consensus.relations.0.fc2.weight"
    name = name if name in state else "head.weight"
    if name not in state:
        raise ValueError("its classifier is missing")
    return size_of(state, name, 0)
