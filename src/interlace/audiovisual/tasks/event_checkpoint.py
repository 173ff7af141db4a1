"""A trained network of events as one .safetensors file: all it takes to use it on a video."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import interlace
from interlace.audiovisual.features.extractor import Extractor, create_extractor
from interlace.audiovisual.models.methods import CML_METHODS, SEL_METHODS, Method
from interlace.audiovisual.tasks.answers import require_task
from interlace.card_checks import check_arguments, check_header_size
from interlace.card_history import FORMAT, extractor_today
from interlace.checkpoints import EVENTS_HEADER, CheckpointError
from interlace.checkpoints import HEADER as ACTIONS_HEADER
from interlace.files import whole_file

MODEL = "model.safetensors"
"""Name of a run's checkpoint."""
HEADER = EVENTS_HEADER
"""Key of the card in the file's header."""


@dataclass(frozen=True)
class EventCard:
    """What a network is, what its input is, and what is known of it."""

    task: str
    """sel or cml."""
    method: str
    """Its name among the methods of the task."""
    network: dict[str, Any]
    """Arguments that build it: audio_features, visual_features, num_events and its own."""
    labels: tuple[str, ...]
    """Names of the events, without background, in the order of the indices."""
    extractor: dict[str, Any] | None = None
    """Specification of the networks of the features; None where they come from elsewhere."""
    metrics: dict[str, float] = field(default_factory=dict)
    """On validation, in percent."""
    training: dict[str, Any] = field(default_factory=dict)
    """Seed, epoch, settings, data (with a fingerprint of each timeline), versions."""
    version: str = interlace.__version__
    """Version of interlace that wrote the file."""

    def __post_init__(self) -> None:
        find_method(self.task, self.method)
        if len(self.labels) != self.network.get("num_events"):
            raise ValueError(
                f"{len(self.labels)} labels for a network of num_events={self.network.get('num_events')}"
            )


class EventModel(NamedTuple):
    """A checkpoint, loaded."""

    network: nn.Module
    """In evaluation mode: `localize(batch)` (sel), or `relevance(batch, query)` (cml)."""
    card: EventCard
    extractor: Extractor | None
    """Makes the features of a video file; None where the network was trained on features from elsewhere."""


def find_method(task: str, name: str) -> Method:
    """A method of a task.

    Raises:
        ValueError: there is no such task, or it has no such method.

    Example:
        >>> from interlace.audiovisual.tasks.event_checkpoint import find_method
        >>> find_method("cml", "cca").fitted
        'closed_form'
    """
    require_task(task)
    methods = methods_of(task)
    if name not in methods:
        raise ValueError(f"{task} has no method {name!r}; it has {', '.join(methods)}")
    return methods[name]


def methods_of(task: str) -> dict[str, Method]:
    """The methods of a task by name."""
    return {"sel": SEL_METHODS, "cml": CML_METHODS}[task]


def save_event_model(
    path: str | Path, network: nn.Module, card: EventCard, extractor: Extractor | None = None
) -> Path:
    """Write a checkpoint; the file appears whole or not at all.

    Raises:
        ValueError: the card names other features than those of the extractor.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.audiovisual.tasks.event_checkpoint import *
        >>> from interlace.audiovisual.models.localizer import EventLocalizer
        >>> network = EventLocalizer(audio_features=3, visual_features=5, num_events=2, width=4)
        >>> card = EventCard("sel", "dam", network.builder_args, ("bark", "horn"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_event_model(Path(folder) / "dam.safetensors", network, card)
        ...     load_event_model(path).card.labels
        ('bark', 'horn')
    """
    if card.extractor != (extractor.spec if extractor else None):
        raise ValueError(
            f"the card says features of {card.extractor}, the extractor is {extractor and extractor.spec}"
        )
    parts = {"network": network, "extractor": extractor}
    state = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, module in parts.items()
        if module is not None
        for name, value in module.state_dict().items()
    }
    header = {HEADER: json.dumps({"format": FORMAT, **asdict(card)}, allow_nan=False)}
    path = Path(path)
    with whole_file(path) as beside:
        beside.write_bytes(save(state, metadata=header))
    return path


def load_event_model(path: str | Path) -> EventModel:
    """Build the networks of a checkpoint, with their weights, in evaluation mode; nothing is downloaded.

    Raises:
        CheckpointError: there is no such file, it is not ours, not whole, or of a newer version.
    """
    card = read_event_card(path)
    try:
        with safe_open(path, framework="pt") as file:
            with torch.device("meta"):  # before memory is taken for what the card says
                weights = _network(card).state_dict()
            expected = {f"network.{name}": list(value.shape) for name, value in weights.items()}
            names = [name for name in file.keys() if name.startswith("network.")]  # noqa: SIM118
            if {name: file.get_slice(name).get_shape() for name in names} != expected:
                raise ValueError("the file has other weights than the network")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        network = _network(card)
        network.load_state_dict(_part(state, "network"))
        extractor = None
        if card.extractor is not None:
            with torch.random.fork_rng(devices=[]):
                extractor = create_extractor(card.extractor)
            extractor.load_state_dict(_part(state, "extractor"))
            extractor.eval()
    except Exception as error:  # what a stranger has written into the card leads the builders anywhere
        raise CheckpointError(
            f"{path}: interlace {interlace.__version__} cannot build its network "
            f"(the file was written by {card.version}): {error}"
        ) from error
    return EventModel(network.eval(), card, extractor)


def read_event_card(path: str | Path) -> EventCard:
    """What a checkpoint says of itself; its weights are not read.

    Raises:
        CheckpointError: there is no such file, it is not ours, not whole, or of a newer version.
    """
    path = Path(path)
    if path.is_dir():
        found = next(iter(sorted(path.rglob(MODEL))), None)
        hint = (
            f"name the checkpoint in it, e.g. {found}" if found else f"it holds no {MODEL}; name a checkpoint"
        )
        raise CheckpointError(f"{path} is a folder; {hint}")
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        check_header_size(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole .safetensors file ({error}); copy it again") from error
    if ACTIONS_HEADER in metadata:
        raise CheckpointError(
            f"{path}: a network that recognizes actions, not one of audio-visual events; use `interlace predict` or "
            "`interlace evaluate`"
        )
    if HEADER not in metadata:
        raise CheckpointError(
            f"{path}: not a network of audio-visual events; `interlace av train` writes those"
        )
    return _card_of(path, metadata[HEADER])


def _card_of(path: Path, header: str) -> EventCard:
    try:
        values = json.loads(header)
        version, written_format = values["version"], int(values.pop("format"))
        check_arguments({"network": values["network"], "extractor": values.get("extractor")})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its header is damaged ({error}); copy it again") from error
    if written_format > FORMAT:
        raise CheckpointError(
            f"{path}: written by interlace {version} in format {written_format}; this is {interlace.__version__}, "
            f"which reads up to {FORMAT}; update with `pip install -U interlace`"
        )
    try:
        if isinstance(values.get("extractor"), dict):
            values["extractor"] = extractor_today(values["extractor"], written_format)
        return EventCard(**{**values, "labels": tuple(values["labels"])})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its header is not complete, or not of this version: it was written by interlace {version}, "
            f"this is {interlace.__version__} ({error})"
        ) from error


def _network(card: EventCard) -> nn.Module:
    """The network of a card, without its weights."""
    with torch.random.fork_rng(devices=[]):  # reading a file is no draw from the global generator
        return find_method(card.task, card.method).network(**card.network)


def _part(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")
    }
