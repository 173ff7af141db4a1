"""A released checkpoint as one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.modality import snippet_length
from interlace.models import VideoModel, create_model
from interlace.released.bninception import with_our_layers
from interlace.released.formats import find_format
from interlace.released.network import Network, read_network
from interlace.released.non_local import along_positions
from interlace.released.places import marked_places, shifted_places
from interlace.released.reading import Source, read_source, sha256
from interlace.released.refusal import ReleasedError
from interlace.released.rules import Translation, grouped, misfits

DENSE_WINDOW = 64
"""Frames that dense sampling spreads its segments over, as released (TSM on Kinetics)."""


@dataclass(frozen=True)
class Imported:
    """What has become of a released checkpoint."""

    path: Path
    """The checkpoint that was written."""
    format: str
    card: ModelCard
    assumed: tuple[str, ...]
    """What the file did not say, a sentence each."""


def import_released(
    file: str | Path,
    output: str | Path,
    *,
    format: str | None = None,
    labels: Sequence[str] | None = None,
    num_segments: int | None = None,
    fold_div: int | None = None,
    sampling: str = "segment",
    image_size: int = 224,
    multi_label: bool = False,
) -> Imported:
    """Write a checkpoint of ours with the weights of a released one: all of them, and no others.

    Args:
        file: the released checkpoint, .pth, .pth.tar or .safetensors.
        output: the checkpoint to write, .safetensors.
        format: tin, x-temporal, tsm, tsm-mobilenetv2, tsm-online, trn or mmaction2; None to tell by the names.
        labels: names of the classes in the order of the logits; None for "class 0", "class 1", ...
        num_segments: frames in a clip (T), where no weight depends on it; None for 8.
        fold_div: TSM's divisor of the channels, which no weight depends on; None for 8.
        sampling: how frames are chosen: segment (spread over the video), or dense (over a window of 64 frames).
        image_size: side of the square that the network sees.
        multi_label: the network tells several classes at once (Charades), by a sigmoid.

    Raises:
        ReleasedError: the file is no plain mapping of weights, or not of the format, or does not fit.
        ValueError: an argument does not fit the file.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from interlace.models import create_model
        >>> from interlace.released import import_released
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> weights = create_model("tsn_resnet18", num_classes=3).state_dict()
        >>> names = {name: name.replace("backbone", "base_model").replace("head", "new_fc") for name in weights}
        >>> torch.save({"state_dict": {names[name]: weights[name] for name in names}}, folder / "tsn.pth.tar")
        >>> imported = import_released(folder / "tsn.pth.tar", folder / "tsn.safetensors")
        >>> imported.format, imported.card.model
        ('tsm', 'tsn_resnet18')
    """
    file, output = Path(file), Path(output)
    _check_arguments(file, output, num_segments=num_segments, fold_div=fold_div, image_size=image_size)
    if sampling not in ("segment", "dense"):
        raise ValueError(f"sampling={sampling!r} is unknown; it is 'segment' or 'dense'")
    source = read_source(file)
    known, translation = find_format(source, format)
    try:
        state = _our_state(source, translation)
        network = read_network(state, translation.marks, num_segments=num_segments, fold_div=fold_div)
    except ValueError as error:
        raise ReleasedError(f"{file}: {error}") from error
    model, notes = _load(source, network, state, translation)
    if labels is None:
        labels = [f"class {index}" for index in range(model.num_classes)]
        notes.append("labels: numbers of the classes, whose names no weight tells")
    if len(labels) != model.num_classes:
        raise ValueError(f"{len(labels)} labels, but {file} tells {model.num_classes} classes apart")
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=tuple(labels),
        sampling=_sampling(sampling, model),
        preprocessing={
            "image_size": image_size,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
            **({} if model.modality == "rgb" else {"modality": model.modality}),
        },
        multi_label=multi_label,
        training={"imported_from": known.name, "sha256": sha256(file), **source.facts},
    )
    return Imported(save_checkpoint(output, model, card), known.name, card, (*network.assumed, *notes))


def _check_arguments(file: Path, output: Path, **numbers: int | None) -> None:
    if output.suffix != ".safetensors":
        raise ValueError(f"{output}: a checkpoint is written as .safetensors; give the output such a name")
    if output.resolve() == file.resolve():
        raise ValueError(f"{output}: this is the file to import; give the output another name")
    if output.is_dir():
        raise ValueError(f"{output}: a folder; name the file to write")
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1")


def _our_state(source: Source, translation: Translation) -> dict[str, Tensor]:
    """The weights under our names, in our form."""
    state = {ours: source.state[name] for name, ours in translation.ours.items()}
    if "bninception" in translation.marks:
        state = with_our_layers(state)
    state = along_positions(state)
    # Copies: weights that are views of one flat tensor would be refused when they are saved.
    return {
        name: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for name, value in state.items()
    }


def _load(
    source: Source, network: Network, state: dict[str, Tensor], translation: Translation
) -> tuple[VideoModel, list[str]]:
    """The network with the weights, all that it has and no more; and what was made up for the file."""
    try:
        with torch.device("meta"):  # whose weights need not be drawn, only to be replaced
            model = create_model(network.model, **network.args)
    except (TypeError, ValueError) as error:
        raise ReleasedError(f"{source.path}: {network.model} cannot be built: {error}") from error
    expected = model.state_dict()
    counts = [name for name in expected if name.endswith(".num_batches_tracked") and name not in state]
    state |= {name: torch.tensor(0) for name in counts}
    problems = misfits(_shapes(state), _shapes(expected))
    whole = [name for name in expected if name in state and expected[name].is_floating_point()]
    whole = [f"{name} ({state[name].dtype})" for name in whole if not state[name].is_floating_point()]
    if whole:
        problems.append(("of whole numbers, whose scale no file tells", whole))
    if problems:
        told = "\n".join(f"{len(names)} weights {what}:\n{grouped(names)}" for what, names in problems)
        raise ReleasedError(
            f"{source.path}: it looks like {network.model} with {network.args}, but does not fit\n{told}"
        )
    marked, shifted = marked_places(translation.marks), shifted_places(model)
    if marked != shifted and "online" not in translation.marks:  # the online names do not tell places
        raise ReleasedError(
            f"{source.path}: it shifts at other places than {network.model} with {network.args}\n"
            f"{len(marked - shifted)} only in the file:\n{grouped(sorted(marked - shifted))}\n"
            f"{len(shifted - marked)} only in the network:\n{grouped(sorted(shifted - marked))}"
        )
    model.load_state_dict(state, assign=True)
    note = "counts of batches: 0 (before PyTorch 0.4.1 none were kept; nothing depends on them)"
    return model, [note] if counts else []


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _sampling(name: str, model: VideoModel) -> dict[str, Any]:
    chosen: dict[str, Any] = {"name": name, "num_segments": model.num_segments}
    if name == "dense":
        chosen["frame_stride"] = max(1, DENSE_WINDOW // model.num_segments)
    if model.modality != "rgb":
        chosen["snippet_length"] = snippet_length(model.modality)
    return chosen
