"""What must hold before and while checkpoints are scored together; every error says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.evaluation.loop import ScoredBatch
from interlace.models import fusion


def checked_weights(weights: Sequence[float | int] | None, num_checkpoints: int) -> list[float]:
    """The weights of an ensemble, all one if none are given.

    Raises:
        ValueError: no checkpoint, not one weight each, a negative weight, or all zero.

    Example:
        >>> from interlace.evaluation.checks import checked_weights
        >>> checked_weights(None, 2)
        [1.0, 1.0]
    """
    if num_checkpoints == 0:
        raise ValueError("no checkpoint to evaluate; give at least one .safetensors file that training wrote")
    return fusion.checked_weights(weights, num_checkpoints, "checkpoints")


def check_members(paths: Sequence[Path], cards: Sequence[ModelCard]) -> None:
    """All checkpoints have the same classes in the same order, and agree on multi-label.

    Raises:
        ValueError: they do not; the message has the first difference.

    Example:
        >>> from interlace.evaluation.checks import check_members
        >>> check_members([path], [card])  # doctest: +SKIP
    """
    first = cards[0]
    for path, card in zip(paths[1:], cards[1:], strict=True):
        _same_classes(str(paths[0]), first.labels, str(path), card.labels, "they cannot form an ensemble")
        if card.multi_label != first.multi_label:
            kinds = ("one label a clip", "several labels a clip")
            raise ValueError(
                f"{paths[0]} was trained for {kinds[first.multi_label]}, "
                f"{path} for {kinds[card.multi_label]}; evaluate them one by one"
            )


def check_clips(path: Path, card: ModelCard, annotations: Annotations) -> None:
    """A checkpoint and the clips have the same classes in the same order, and agree on multi-label.

    Raises:
        ValueError: they do not; the message has the first difference.

    Example:
        >>> from interlace.evaluation.checks import check_clips
        >>> check_clips(path, card, annotations)  # doctest: +SKIP
    """
    remedy = "read the annotations with the checkpoint's classes: read_annotations(..., classes=card.labels)"
    _same_classes(str(path), card.labels, annotations.source, annotations.classes, remedy)
    if annotations.multi_label and not card.multi_label:
        raise ValueError(
            f"{annotations.source} has several labels a clip, {path} was trained for one; "
            "give annotations with one label a clip, or a checkpoint trained on several"
        )


def check_finite(batch: ScoredBatch, annotations: Annotations, checkpoint: Path) -> None:
    """The scores of a batch are numbers.

    Raises:
        ValueError: NaN or infinity, with the first clip that has it.

    Example:
        >>> from interlace.evaluation.checks import check_finite
        >>> check_finite(batch, annotations, path)  # doctest: +SKIP
    """
    bad = (~batch.scores.isfinite().all(dim=1)).nonzero().flatten().tolist()
    if bad:
        clip = annotations.samples[batch.indices[bad[0]]].path
        raise ValueError(
            f"{checkpoint} gives scores that are not numbers for {clip}; its weights are broken "
            "(did its training diverge?), or bf16 is too coarse for it: try precision 32"
        )


def _same_classes(
    first_name: str, first: Sequence[str], second_name: str, second: Sequence[str], remedy: str
) -> None:
    for i, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            raise ValueError(f"class {i} is {one!r} in {first_name} and {other!r} in {second_name}; {remedy}")
    if len(first) != len(second):
        raise ValueError(
            f"{first_name} has {len(first)} classes and {second_name} has {len(second)}, "
            f"the first ones the same; {remedy}"
        )
