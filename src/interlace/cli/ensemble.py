"""`interlace ensemble A B ... --output E`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Make one checkpoint out of several."""
    return ensemble(**parse("ensemble", ensemble, split_weights(arguments)))


def ensemble(
    checkpoints: list[Path],
    *,
    output: Path,
    weights: list[float] | None = None,
    average: Literal["probabilities", "logits"] = "probabilities",
    overwrite: bool = False,
) -> int:
    """Make one checkpoint out of several: a network whose scores are the mean of theirs.

    It is used like any other: `interlace predict`, `interlace evaluate` and `interlace train --pretrained` take it.

    Args:
        checkpoints: Checkpoints with the same classes; each keeps its own frames, channels and normalisation.
        output: The .safetensors file to write.
        weights: Weight of each checkpoint, e.g. 1 1.5 or 1,1.5; by default all count the same.
        average: What is averaged; with logits the surer network has the larger say.
        overwrite: Replace the output file.
    """
    from interlace.checkpoints import save_checkpoint
    from interlace.evaluation.ensemble import join_checkpoints

    if output.suffix != ".safetensors":
        raise ValueError(f"{output}: a checkpoint ends in .safetensors")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; give another --output, or --overwrite")
    model, card = join_checkpoints(checkpoints, weights=weights, average=average)
    save_checkpoint(output, model, card)
    for path, network, weight in zip(checkpoints, model.networks, model.weights, strict=True):
        print(f"{weight:g} x {path} ({network.builder}, {network.num_segments} frames, {network.modality})")
    print(f"written: {output}")
    return 0


def split_weights(arguments: list[str]) -> list[str]:
    """`--weights 1,1.5` and `--weights=1,1.5` as `--weights 1 1.5`.

    Example:
        >>> from interlace.cli.ensemble import split_weights
        >>> split_weights(["a,b", "--weights=1,1.5", "--output", "c,d"])
        ['a,b', '--weights', '1', '1.5', '--output', 'c,d']
    """
    words: list[str] = []
    are_weights = False
    for word in arguments:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            are_weights = name == "--weights"
            words += [name, *value.split(",")] if are_weights and equals else [word]
        else:
            words += word.split(",") if are_weights else [word]
    return words
