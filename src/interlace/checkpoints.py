"""Checkpoints: one .safetensors file with the weights and, in its header as JSON, all it takes to use them.

`save_checkpoint` and `load_checkpoint` are inverse to each other, bit for bit. No pickle is read or written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

import interlace
from interlace.card_checks import check_card, check_header_size
from interlace.card_history import FORMAT, arguments_today
from interlace.files import whole_file
from interlace.models import VideoModel, create_model, load_backbone_weights, with_num_segments

__all__ = [
    "CheckpointError",
    "ModelCard",
    "load_backbone_weights",
    "load_checkpoint",
    "read_card",
    "save_checkpoint",
]

HEADER = "interlace"
"""Key of the card in the file's header."""
EVENTS_HEADER = "interlace_events"
"""The same of networks of audio-visual events, which are read elsewhere."""

KINDS: dict[str, type] = {
    "model": str,
    **dict.fromkeys(("model_args", "sampling", "preprocessing", "metrics", "training"), dict),
    "labels": list,
}
"""What JSON must hold in some places of the card."""


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint of ours. The message names it."""


@dataclass(frozen=True)
class ModelCard:
    """What a network is, how its input is made, and what is known of it."""

    model: str
    """Builder's name, e.g. tin_resnet50."""
    model_args: dict[str, Any]
    """Keyword arguments of `interlace.create_model`; num_classes is among them."""
    labels: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    sampling: dict[str, Any]
    """How frames are chosen, e.g. {"name": "segment", "num_segments": 8}; {"name": "joined", "parts": [...]} for an
    ensemble whose networks see frames of their own."""
    preprocessing: dict[str, Any]
    """image_size, mean, std and color (rgb or gray); modality, where it is not rgb; frame_template, where training
    was told one."""
    multi_label: bool = False
    """Several labels at once: probabilities come from a sigmoid."""
    protocol: str = "1clip-center"
    """The protocol of the metrics."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What was measured, in percent."""
    window_seconds: float | None = None
    """Median length of the training clips: the window for a timeline of a long video."""
    training: dict[str, Any] = field(default_factory=dict)
    """Seed, epoch, initial weights, recipe, commit."""
    version: str = interlace.__version__
    """Version of interlace that wrote the file."""

    def __post_init__(self) -> None:
        if len(self.labels) != self.model_args.get("num_classes"):
            raise ValueError(
                f"{len(self.labels)} labels for a network of num_classes={self.model_args.get('num_classes')}"
            )

    @property
    def num_segments(self) -> int:
        """Frames in a clip, all parts together."""
        return sum(part["num_segments"] for part in self.sampling.get("parts", [self.sampling]))


def save_checkpoint(path: str | Path, model: nn.Module, card: ModelCard) -> Path:
    """Write a checkpoint; the file appears whole or not at all.

    Raises:
        ValueError: the weights are not those of the network that the card describes, or an ensemble averages
            probabilities of another kind than the card's.

    Example:
        >>> import tempfile, interlace
        >>> from pathlib import Path
        >>> from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
        >>> model = interlace.create_model("tsn_resnet18", num_classes=2, num_segments=4)
        >>> card = ModelCard(
        ...     model=model.builder,
        ...     model_args=model.builder_args,
        ...     labels=("left", "right"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 112, "mean": [0.5] * 3, "std": [0.5] * 3, "color": "rgb"},
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_checkpoint(Path(folder) / "model.safetensors", model, card)
        ...     load_checkpoint(path)[1].labels
        ('left', 'right')
    """
    path = Path(path)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with torch.device("meta"):
        expected = _build(card).state_dict()
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in expected.items()}:
        raise ValueError(f"the weights are not those of {card.model} with {card.model_args}")
    if getattr(model, "multi_label", card.multi_label) != card.multi_label:
        raise ValueError(
            f"the card says multi_label={card.multi_label}, but {card.model} was built for the other; "
            f"build the ensemble with multi_label={card.multi_label}"
        )
    header = {HEADER: json.dumps({"format": FORMAT, **asdict(card)}, allow_nan=False)}
    with whole_file(path) as beside:
        beside.write_bytes(save(state, metadata=header))
    return path


def load_checkpoint(
    path: str | Path, *, device: str | torch.device = "cpu", num_segments: int | None = None
) -> tuple[VideoModel, ModelCard]:
    """Build the network of a checkpoint, with its weights, in evaluation mode.

    With ``num_segments`` it is made to see that many frames, and the card says so; what becomes of TIN's
    offset layers then is told at :func:`interlace.models.with_num_segments`.

    Raises:
        CheckpointError: there is no such file, it is not ours, not whole, or of a newer version.
        ValueError: ``num_segments`` is below 1.
    """
    path = Path(path)
    try:
        with _opened(path, device) as file:
            card = card_from_header(path, file.metadata())
            _check_shapes(card, file)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        model = _build(card)
        model.load_state_dict(state)
    except CheckpointError:
        raise
    except Exception as error:  # what a stranger has written into the card leads the builders anywhere
        raise CheckpointError(
            f"{path}: interlace {interlace.__version__} cannot build its network "
            f"(the file was written by {card.version}): {error}"
        ) from error
    if num_segments is not None and num_segments != model.num_segments:
        if num_segments < 1:
            raise ValueError(f"num_segments={num_segments} must be at least 1")
        card = replace(card, training={"num_segments": model.num_segments, **card.training})
        model = with_num_segments(model, num_segments)
        card = replace(
            card,
            model_args={**card.model_args, **model.builder_args},
            sampling=_of_lengths(card.sampling, model.segments),
        )
    return model.to(device).eval(), card


def read_card(path: str | Path) -> ModelCard:
    """What a checkpoint says of itself; its weights are not read.

    Raises:
        CheckpointError: there is no such file, it is not ours, not whole, or of a newer version.

    Example:
        >>> from interlace.checkpoints import read_card
        >>> read_card("best.safetensors").labels  # doctest: +SKIP
        ('wave', 'clap')
    """
    path = Path(path)
    with _opened(path) as file:
        return card_from_header(path, file.metadata())


@contextmanager
def _opened(path: Path, device: str | torch.device = "cpu") -> Iterator[Any]:
    """The file, of which only the header has been read; what is wrong with it is a CheckpointError."""
    if not path.is_file():
        if path.is_dir():
            inside = path / "best.safetensors"
            raise CheckpointError(f"{path} is a folder; name the checkpoint in it, e.g. {inside}")
        raise CheckpointError(f"{path}: there is no such file")
    if path.suffix.lower() in (".onnx", ".pt2", ".xml", ".bin"):
        raise CheckpointError(
            f"{path}: an exported file (of .xml and .bin name the .xml); predict, evaluate and stream take it, "
            "everything else the checkpoint that it was made of"
        )
    try:
        check_header_size(path)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: {error}; no checkpoint of interlace has that, get it again"
        ) from error
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            yield file
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: not a whole .safetensors file ({error}); copy or download it again"
        ) from error


def _build(card: ModelCard) -> VideoModel:
    """The network without its weights; the initial ones it was trained from are of no concern any more."""
    with torch.random.fork_rng(devices=[]):  # reading a file is no draw from the global generator
        return create_model(card.model, **{**card.model_args, "pretrained": False})


def _check_shapes(card: ModelCard, file: Any) -> None:
    """ValueError if the network would have other weights than the file: before memory is taken for either."""
    with torch.device("meta"):
        expected = {name: list(value.shape) for name, value in _build(card).state_dict().items()}
    found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a mapping
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{len(wrong)} weights do not fit, e.g. {name}: {found.get(name, 'missing')} in the file, "
            f"{expected.get(name, 'unknown')} in the network"
        )


def _of_lengths(sampling: Mapping[str, Any], segments: tuple[int, ...]) -> dict[str, Any]:
    """The same sampling for clips, or parts of a clip, of other lengths."""
    if "parts" not in sampling:
        return {**sampling, "num_segments": sum(segments)}
    parts = zip(sampling["parts"], segments, strict=True)
    return {**sampling, "parts": [{**part, "num_segments": length} for part, length in parts]}


def card_from_header(path: Path, metadata: Mapping[str, str] | None) -> ModelCard:
    header = (metadata or {}).get(HEADER)
    if header is None and EVENTS_HEADER in (metadata or {}):
        raise CheckpointError(
            f"{path}: a network of audio-visual events, not one that recognizes actions; use `interlace av predict` "
            "or `interlace av evaluate`"
        )
    if header is None:
        raise CheckpointError(
            f"{path}: weights only, not a checkpoint of interlace; "
            "give it to create_model or training as pretrained=PATH"
        )
    try:
        values = json.loads(header)
        version, written_format = values["version"], int(values.pop("format"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its header is damaged ({error}); copy or download it again"
        ) from error
    if written_format > FORMAT:
        raise CheckpointError(
            f"{path}: written by interlace {version} in format {written_format}; this is "
            f"{interlace.__version__}, which reads up to {FORMAT}; update with `pip install -U interlace`"
        )
    wrong = [name for name, kind in KINDS.items() if not isinstance(values.get(name, kind()), kind)]
    if wrong:
        raise CheckpointError(
            f"{path}: its header is damaged ({wrong[0]} is {values[wrong[0]]!r}); copy or download it again"
        )
    try:
        check_card(values)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: its header is damaged ({error}); copy or download it again"
        ) from error
    try:
        values["model_args"] = arguments_today(values["model"], values["model_args"], written_format)
        return ModelCard(**{**values, "labels": tuple(values["labels"])})
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its header is not complete, or not of this version: it was written by interlace {version}, "
            f"this is {interlace.__version__} ({error})"
        ) from error
