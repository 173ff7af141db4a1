"""One checkpoint out of several: an ensemble that predicts, evaluates and saves like any network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlace.checkpoints import ModelCard, load_checkpoint
from interlace.data.joined import JoinedSampling
from interlace.data.sampling import Sampling, sampling_from_dict
from interlace.evaluation.checks import check_members, checked_weights
from interlace.evaluation.output import file_sha256
from interlace.models.ensemble import Ensemble
from interlace.models.fusion import Average


def join_checkpoints(
    paths: Sequence[str | Path],
    *,
    weights: Sequence[float | int] | None = None,
    average: Average = "probabilities",
) -> tuple[Ensemble, ModelCard]:
    """An ensemble of checkpoints, and the card to save it with.

    Each network keeps its frames, its channels and its normalisation; those that choose the same frames share them.
    Scores are those of an evaluation of the checkpoints together, where that averages the same (``average``) and frames
    have a short side of at most 256 pixels: larger ones are reduced before motion is joined with color.

    Args:
        paths: the checkpoints; ensembles may be among them.
        weights: one for each; by default all count the same.
        average: probabilities, or logits.

    Raises:
        CheckpointError: a file is not a checkpoint.
        ValueError: classes, size of pictures, color, multi-label or flow that disagree, or weights that do not fit.

    Example:
        >>> from interlace.checkpoints import save_checkpoint
        >>> from interlace.evaluation import join_checkpoints
        >>> model, card = join_checkpoints(["tin8.safetensors", "tin16.safetensors"])  # doctest: +SKIP
        >>> save_checkpoint("tin_en.safetensors", model, card)  # doctest: +SKIP
    """
    files = [Path(path) for path in paths]
    shares = checked_weights(weights, len(files))
    loaded = [load_checkpoint(file) for file in files]
    cards = [card for _, card in loaded]
    check_members(files, cards)
    _check_inputs(files, cards)
    for network, card in loaded:  # what the checkpoint was trained with counts
        network.mean, network.std = (tuple(card.preprocessing[name]) for name in ("mean", "std"))
    shares_frames = all(card.sampling == cards[0].sampling for card in cards)
    model = Ensemble(
        [network for network, _ in loaded],
        weights=shares,
        average=average,
        multi_label=cards[0].multi_label,
        shares_frames=shares_frames,
    ).eval()
    parts = [part for card in cards for part in _parts(card)]
    preprocessing = {
        **cards[0].preprocessing,
        "mean": list(model.mean),
        "std": list(model.std),
        "modality": model.modality,
    }
    for name in ("frame_template", "flow"):
        given = [card.preprocessing[name] for card in cards if card.preprocessing.get(name) is not None]
        preprocessing |= {name: given[0]} if given else {}
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=cards[0].labels,
        sampling=cards[0].sampling if shares_frames else JoinedSampling(tuple(parts)).to_dict(),
        preprocessing=preprocessing,
        multi_label=cards[0].multi_label,
        protocol=cards[0].protocol,
        window_seconds=max((card.window_seconds for card in cards if card.window_seconds), default=None),
        training=_training(files, cards, shares),
    )
    return model, card


def _parts(card: ModelCard) -> list[Sampling]:
    """One sampling, or those of an ensemble."""
    return [sampling_from_dict(part) for part in card.sampling.get("parts", [card.sampling])]


def _check_inputs(files: Sequence[Path], cards: Sequence[ModelCard]) -> None:
    """The same clips can be shown to all."""
    for name in ("image_size", "color", "flow"):
        told = {
            file: card.preprocessing[name]
            for file, card in zip(files, cards, strict=True)
            if card.preprocessing.get(name) is not None
        }
        first = next(iter(told), None)
        for file, value in told.items():
            if first is not None and value != told[first]:
                raise ValueError(
                    f"{name} is {told[first]} in {first} and {value} in {file}; one checkpoint shows the same "
                    "clips to all its networks: evaluate them together instead (interlace evaluate --model A B)"
                )


def _training(files: Sequence[Path], cards: Sequence[ModelCard], weights: Sequence[float]) -> dict[str, Any]:
    """Of which files it is made, and what they have in common: the data, its split, the clips trained on."""
    trainings = [card.training for card in cards]
    common = {
        name: value
        for name, value in trainings[0].items()
        if name in ("data", "split", "seed") and all(other.get(name) == value for other in trainings)
    }
    clips = sorted({clip for training in trainings for clip in training.get("clips", ())})
    if not clips and "seed" not in common:  # without the clips, what was held out follows from the seed
        common.pop("split", None)
    members = [
        {
            "file": file.name,
            "sha256": file_sha256(file),
            "weight": weight,
            "model": card.model,
            "metrics": card.metrics,
            **{name: value for name, value in card.training.items() if name not in {*common, "clips"}},
        }
        for file, card, weight in zip(files, cards, weights, strict=True)
    ]
    return {**common, **({"clips": clips} if clips else {}), "members": members}
