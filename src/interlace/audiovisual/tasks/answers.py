"""What a network says of each timeline of a set, beside what is true, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from interlace.audiovisual.models.cml import best_start, is_asked
from interlace.audiovisual.tasks.batches import BatchReader, rows_of
from interlace.audiovisual.tasks.event_metrics import (
    percentage,
    relevance_accuracy,
    segment_accuracy,
    segment_confusion,
)
from interlace.audiovisual.timelines.timeline import Batch, TimelineSet, segment_labels

TASKS = {
    "sel": "supervised event localization: label every segment",
    "cml": "cross-modality localization: find the event of one modality in the other",
}
MAIN_METRIC = {"sel": "accuracy", "cml": "mean"}
"""What training selects by, and the first of each task's metrics."""
ASKED_BY = {"sel": "localize", "cml": "relevance"}
"""The function that networks of a task have."""
DIRECTIONS = {"a2v": "audio", "v2a": "visual"}
"""What is asked in each direction of CML; the other modality answers."""
BACKGROUND = "background"
BATCH_SIZE = 256


class NotFiniteError(ValueError):
    """A loss or scores that are no numbers any more."""


def require_task(task: str) -> None:
    """Raise ValueError unless there is such a task."""
    if task not in TASKS:
        raise ValueError(f"task {task!r} is not one of {', '.join(TASKS)}")


@dataclass(frozen=True)
class Answers:
    """What a network says of each timeline of a set, and what is true, on the CPU; filled up with zeros at the end."""

    true: Batch
    """Without its features."""
    values: dict[str, Tensor]
    """SEL: labels, event_scores, relevance and, where the network has them, heard and seen. CML: for a2v and v2a the
    start, and the share of the video's point that it earns (`hit`)."""


@torch.inference_mode()
def answers_of(
    network: nn.Module, read: BatchReader, count: int, task: str, *, batch_size: int = BATCH_SIZE
) -> Answers:
    """Ask a network about timelines 0 to count - 1, in evaluation mode."""
    if not hasattr(network, ASKED_BY[task]):
        raise ValueError(
            f"{type(network).__name__} has no `{ASKED_BY[task]}`: it is no network of task {task}"
        )
    answer = _localize if task == "sel" else _match
    was_training = network.training
    network.eval()
    true, found = [], []
    try:
        for numbers in torch.arange(count).split(batch_size):
            batch = read(numbers)
            found.append(answer(network, batch))
            true.append(_without_features(batch))
    finally:
        network.train(was_training)
    return Answers(
        Batch(*(_joined([vars(batch)[name] for batch in true]) for name in vars(true[0]))),
        {name: _joined([values[name] for values in found]) for name in found[0]},
    )


def metrics_of(answers: Answers, timelines: TimelineSet, task: str) -> dict[str, float]:
    """The task's numbers, the main one first.

    Raises:
        ValueError: there is nothing to count.
    """
    try:
        return _sel_metrics(answers, len(timelines.labels)) if task == "sel" else _cml_metrics(answers)
    except ValueError as error:
        raise ValueError(f"{timelines.source or 'timelines'}: {error}") from error


def _localize(network: Any, batch: Batch) -> dict[str, Tensor]:
    told = network.localize(batch)
    values = {"labels": told.labels, "event_scores": told.event_scores, "relevance": told.relevance}
    values |= {name: getattr(told, name) for name in ("heard", "seen") if getattr(told, name) is not None}
    _require_finite(values["event_scores"], values["relevance"][batch.mask])
    return {name: value.cpu() for name, value in values.items()}


def _match(network: Any, batch: Batch) -> dict[str, Tensor]:
    asked = is_asked(batch)
    values = {"asked": asked.cpu()}
    numbers = asked.nonzero()[:, 0]
    some = rows_of(batch, numbers) if len(numbers) else None
    for direction, query in DIRECTIONS.items():
        values[direction] = torch.full((len(asked),), -1)
        values[f"{direction}_hit"] = torch.zeros(len(asked), dtype=torch.float64)
        if some is not None:
            scores = network.window_scores(some, query)
            _require_finite(scores[some.mask.to(scores.device)])
            starts = best_start(scores, some.relevant.sum(1), some.mask)
            values[direction][values["asked"]] = starts.cpu()
            values[f"{direction}_hit"][values["asked"]] = network.hits(some, starts)
    return values


def _sel_metrics(answers: Answers, num_events: int) -> dict[str, float]:
    confusion, true = confusion_of(answers, num_events), answers.true
    metrics = {"accuracy": segment_accuracy(confusion), "relevance": relevance_accuracy(confusion)}
    has_event = true.event >= 0
    if has_event.any():
        right = answers.values["event_scores"].argmax(1) == true.event
        metrics["category"] = percentage(int(right[has_event].sum()), int(has_event.sum()))
    return metrics


def _cml_metrics(answers: Answers) -> dict[str, float]:
    asked = int(answers.values["asked"].sum())
    if not asked:
        raise ValueError(
            "no video can be asked: in each the event fills the video, is in several pieces, or there is none; "
            "give a split that has videos with background before or after the event"
        )
    each = {name: percentage(float(answers.values[f"{name}_hit"].sum()), asked) for name in DIRECTIONS}
    return {"mean": sum(each.values()) / len(each), **each}


def confusion_of(answers: Answers, num_events: int) -> Tensor:
    """int64 (K + 1, K + 1): segments by true and predicted label, background last."""
    true = segment_labels(answers.true.event, answers.true.relevant, num_events)
    return segment_confusion(answers.values["labels"], true, answers.true.mask, num_events + 1)


def _require_finite(*scores: Tensor) -> None:
    if not all(bool(values.isfinite().all()) for values in scores):
        raise NotFiniteError(
            "the network's scores are not finite; its training has diverged (a smaller lr helps) or its input "
            "holds values that are not numbers"
        )


def _without_features(batch: Batch) -> Batch:
    """What is true of it, on the CPU: features of a whole set may be more than memory holds."""
    small = Batch(batch.audio[..., :0], batch.visual[..., :0, :0], batch.mask, batch.event, batch.relevant)
    return small.to("cpu")


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Batches one below the other; where their second axis is of segments, the shorter are filled up with zeros."""
    if parts[0].ndim == 1:
        return torch.cat(list(parts))
    length = max(part.shape[1] for part in parts)
    return torch.cat([_filled(part, length) for part in parts])


def _filled(part: Tensor, length: int) -> Tensor:
    return torch.cat([part, part.new_zeros(len(part), length - part.shape[1], *part.shape[2:])], 1)
