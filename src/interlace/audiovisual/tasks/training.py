"""Fit one network to timelines: Lightning's loop, selection on validation, the best weights kept."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from interlace.audiovisual.models.methods import Method
from interlace.audiovisual.tasks.answers import BATCH_SIZE, answers_of, metrics_of
from interlace.audiovisual.tasks.batches import BatchReader, batch_reader, require_finite
from interlace.audiovisual.tasks.event_settings import EpochRow, EventSettings, Progress
from interlace.audiovisual.tasks.lightning_loop import (
    EventLoop,
    Shuffled,
    make_trainer,
    signals_as_everywhere,
)
from interlace.audiovisual.timelines.timeline import NO_EVENT, TimelineSet
from interlace.devices import choose_device
from interlace.training.quiet import quiet


@dataclass(frozen=True)
class Fitted:
    """A network with the weights that were best on validation."""

    network: nn.Module
    """In evaluation mode, on the CPU."""
    metrics: dict[str, float]
    """Of those weights on validation, in percent, the main one first."""
    epoch: int
    """Their epoch, from 1 on; 0 for a network that is fitted in closed form."""
    history: list[EpochRow]
    """Of each epoch: epoch, loss (mean over the training timelines), and the validation metrics."""


def train_events(
    method: Method,
    train_set: TimelineSet,
    val_set: TimelineSet,
    settings: EventSettings,
    seed: int,
    *,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a method's network to the training timelines; everything is decided by the validation ones.

    The same seed gives the same network on the same machine; the caller's random state is left as it was. For CML,
    videos that are background from end to end are left out: they have no query.

    Args:
        method: one of `SEL_METHODS` or `CML_METHODS`, that of the task.
        train_set: fitted to.
        val_set: selects the epoch by the task's main metric, the first of equals; with the same labels.
        settings: of the loop and the network.
        seed: of the initial weights, the order of the timelines, and dropout.
        progress: told after every epoch.

    Raises:
        ValueError: an empty split, features or labels that do not fit together, arguments that the network does not
            take, a loss that is not finite.
        KeyboardInterrupt: Ctrl-C.

    Example:
        >>> from interlace.audiovisual.tasks.event_settings import EventSettings
        >>> from interlace.audiovisual.models.methods import SEL_METHODS
        >>> from interlace.audiovisual.tasks.training import train_events
        >>> fitted = train_events(SEL_METHODS["dam"], train, val, EventSettings(), seed=0)  # doctest: +SKIP
        >>> fitted.metrics["accuracy"]  # doctest: +SKIP
        71.3
    """
    require_fitting(train_set, val_set)
    device = choose_device(settings.device)
    numbers = _trainable(train_set, settings.task)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network: Any = build_network(method, train_set, settings.network)
        read_val = batch_reader(val_set, device=device)
        if method.fitted == "closed_form":
            network.fit(require_finite(train_set[number]) for number in numbers.tolist())
            metrics = _score(network.to(device), read_val, val_set, settings)
            return Fitted(network.cpu().eval(), metrics, 0, [{"epoch": 0, **metrics}])
        read = batch_reader(train_set, device=device)
        loop = EventLoop(
            network, read, lambda: _score(network, read_val, val_set, settings), settings, progress
        )
        shuffled = Shuffled(numbers, settings.batch_size, torch.Generator().manual_seed(seed))
        with quiet(), signals_as_everywhere():
            make_trainer(settings, device).fit(loop, shuffled)
    network.load_state_dict(loop.best_weights)
    metrics = {name: float(value) for name, value in loop.best.items() if name not in ("epoch", "loss")}
    return Fitted(network.cpu().eval(), metrics, int(loop.best["epoch"]), loop.history)


def build_network(method: Method, timelines: TimelineSet, arguments: dict[str, Any]) -> nn.Module:
    """A method's network, as wide as the features of the timelines.

    Raises:
        ValueError: arguments that it does not take.
    """
    first = timelines[0]
    given = {
        "audio_features": first.audio.shape[1],
        "visual_features": first.visual.shape[2],
        "num_events": len(timelines.labels),
    }
    takes = [name for name in inspect.signature(method.network).parameters if name not in given]
    unknown = [name for name in arguments if name not in takes]
    if unknown:
        near = difflib.get_close_matches(unknown[0], takes, n=1, cutoff=0.7)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"{_name_of(method)} cannot be built with {unknown[0]}={arguments[unknown[0]]}{hint}; it takes "
            f"{', '.join(takes) or 'no arguments'}"
        )
    try:
        return method.network(**given, **arguments)
    except TypeError as error:
        raise ValueError(f"{_name_of(method)} cannot be built with {arguments}: {error}") from error


def _name_of(method: Method) -> str:
    """The class of its network, whatever of its arguments is fixed."""
    network = method.network.func if isinstance(method.network, partial) else method.network
    return network.__name__


def require_fitting(
    train_set: TimelineSet, val_set: TimelineSet, test_set: TimelineSet | None = None
) -> None:
    """Raise ValueError unless all have timelines, the same events in the same order, and features of the same size."""
    sets = {"training": train_set, "validation": val_set} | (
        {"test": test_set} if test_set is not None else {}
    )
    for name, timelines in sets.items():
        if not len(timelines):
            raise ValueError(f"{timelines.source or name}: there are no timelines; {name} needs some")
    first = train_set[0]
    for name, timelines in sets.items():
        if timelines.labels != train_set.labels:
            raise ValueError(
                f"{train_set.source or 'training'} has the events {', '.join(train_set.labels)}, "
                f"{timelines.source or name} has {', '.join(timelines.labels)}; both need the same, in the same order"
            )
        other = timelines[0] if timelines is not train_set else first
        if (first.audio.shape[1], first.visual.shape[2]) != (other.audio.shape[1], other.visual.shape[2]):
            raise ValueError(
                f"{train_set.source or 'training'} has {first.audio.shape[1]} numbers of sound and "
                f"{first.visual.shape[2]} of picture a segment, {timelines.source or name} has {other.audio.shape[1]} "
                f"and {other.visual.shape[2]}; take the features of all in one way"
            )


def _trainable(train_set: TimelineSet, task: str) -> Tensor:
    """The numbers of the timelines to fit to."""
    if task == "sel":
        return torch.arange(len(train_set))
    numbers = [number for number, timeline in enumerate(train_set) if timeline.event != NO_EVENT]
    if not numbers:
        raise ValueError(
            f"{train_set.source or 'training'}: no timeline has an event, so there is no query for CML"
        )
    return torch.tensor(numbers, dtype=torch.long)


def _score(
    network: nn.Module, read: BatchReader, timelines: TimelineSet, settings: EventSettings
) -> dict[str, float]:
    # Whose features are so large that training takes few at a time has no room for 256 of validation.
    batch_size = min(BATCH_SIZE, 4 * settings.batch_size)
    answers = answers_of(network, read, len(timelines), settings.task, batch_size=batch_size)
    return metrics_of(answers, timelines, settings.task)
