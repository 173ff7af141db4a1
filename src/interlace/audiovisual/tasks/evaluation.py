"""Score a network on timelines: every segment's label (SEL), or where the other modality shows the event (CML)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from interlace.audiovisual.models.cml import event_start
from interlace.audiovisual.tasks.answers import (
    BACKGROUND,
    BATCH_SIZE,
    DIRECTIONS,
    Answers,
    answers_of,
    confusion_of,
    metrics_of,
    require_task,
)
from interlace.audiovisual.tasks.batches import batch_reader
from interlace.audiovisual.tasks.event_metrics import percentage, reason_left_out
from interlace.audiovisual.timelines.timeline import TimelineSet, segment_labels
from interlace.devices import choose_device


@dataclass(frozen=True)
class EventReport:
    """The result of one evaluation."""

    task: str
    metrics: dict[str, float]
    """In percent, the main one first. SEL: accuracy (over all segments, K + 1 labels), relevance (event or background),
    category (of the videos with an event). CML: mean, a2v, v2a (exact start)."""
    num_videos: int
    num_scored: int
    """Segments (SEL) or videos (CML) that were counted."""
    left_out: dict[str, int]
    """Reasons, and how many videos CML did not ask for each."""
    per_event: list[dict[str, Any]]
    """Of each label (SEL: with background, the last): event, count, and the metrics; None where there is no count."""
    confusion: list[list[int]] | None
    """SEL: segments, row = true label, column = predicted label, background last."""
    rows: list[dict[str, Any]]
    """Predictions: one a segment (SEL) or a video (CML)."""

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in self.metrics.items())
        unit = "segments" if self.task == "sel" else "videos asked"
        return f"{self.task}, {self.num_scored} {unit} of {self.num_videos} videos: {numbers}"


def evaluate_events(
    network: nn.Module,
    timelines: TimelineSet,
    task: str,
    *,
    batch_size: int = BATCH_SIZE,
    device: str | torch.device = "cpu",
) -> EventReport:
    """Score a network on all timelines of a set; the result does not depend on the batch size.

    Args:
        network: with `localize` (SEL) or `relevance` (CML); it is put on the device and left as it was otherwise.
        timelines: a split.
        task: sel or cml.
        batch_size: timelines at a time.
        device: name of the device.

    Raises:
        ValueError: there is nothing to score, scores that are not finite, or no such task.

    Example:
        >>> from interlace.audiovisual import TimelineSet
        >>> from interlace.audiovisual.tasks.evaluation import evaluate_events
        >>> evaluate_events(torch.nn.Identity(), TimelineSet(("bark",), (), "test.csv"), "sel")
        Traceback (most recent call last):
            ...
        ValueError: test.csv: there is no timeline to read; the split is empty
    """
    require_task(task)
    chosen = choose_device(device)
    network = network.to(chosen)
    try:
        read = batch_reader(timelines, device=chosen)
    except ValueError as error:
        raise ValueError(f"{timelines.source or 'timelines'}: {error}") from error
    answers = answers_of(network, read, len(timelines), task, batch_size=batch_size)
    return report_of(answers, timelines, task)


def report_of(answers: Answers, timelines: TimelineSet, task: str) -> EventReport:
    """All that is known from the answers of a network."""
    labels = timelines.labels
    metrics = metrics_of(answers, timelines, task)
    reasons = [
        reason_left_out(row[mask]) for row, mask in zip(answers.true.relevant, answers.true.mask, strict=True)
    ]
    left_out = Counter(reason for reason in reasons if reason) if task == "cml" else {}
    names = [timeline.name for timeline in timelines]
    if task == "sel":
        confusion = confusion_of(answers, len(labels))
        rows, per_event = list(_sel_rows(answers, names, labels)), _sel_events(confusion, labels)
        scored = int(confusion.sum())
    else:
        confusion = None
        rows, per_event = list(_cml_rows(answers, names, labels, reasons)), _cml_events(answers, labels)
        scored = int(answers.values["asked"].sum())
    return EventReport(
        task=task,
        metrics=metrics,
        num_videos=len(names),
        num_scored=scored,
        left_out=dict(left_out),
        per_event=per_event,
        confusion=None if confusion is None else confusion.tolist(),
        rows=rows,
    )


def _sel_events(confusion: Tensor, labels: Sequence[str]) -> list[dict[str, Any]]:
    right, count = confusion.diag().tolist(), confusion.sum(1).tolist()
    return [
        {"event": name, "count": n, "accuracy": percentage(hits, n) if n else None}
        for name, hits, n in zip([*labels, BACKGROUND], right, count, strict=True)
    ]


def _cml_events(answers: Answers, labels: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for number, name in enumerate(labels):
        chosen = answers.values["asked"] & (answers.true.event == number)
        count = int(chosen.sum())
        hits = {key: float(answers.values[f"{key}_hit"][chosen].sum()) for key in DIRECTIONS}
        each = {key: percentage(value, count) if count else None for key, value in hits.items()}
        rows.append({"event": name, "count": count, **each})
    return rows


def _sel_rows(answers: Answers, names: Sequence[str], labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    words = [*labels, BACKGROUND]
    true = segment_labels(answers.true.event, answers.true.relevant, len(labels))
    shares = {name: answers.values[name] for name in ("relevance", "heard", "seen") if name in answers.values}
    for i, name in enumerate(names):
        for k in range(int(answers.true.mask[i].sum())):
            predicted = int(answers.values["labels"][i, k])
            yield {
                "name": name,
                "segment": k,
                "true": words[int(true[i, k])],
                "predicted": words[predicted],
                **{key: round(float(value[i, k]), 4) for key, value in shares.items()},
            }


def _cml_rows(
    answers: Answers, names: Sequence[str], labels: Sequence[str], reasons: Sequence[str]
) -> Iterator[dict[str, Any]]:
    starts, lengths = event_start(answers.true.relevant).tolist(), answers.true.relevant.sum(1).tolist()
    for i, name in enumerate(names):
        event = int(answers.true.event[i])
        yield {
            "name": name,
            "event": labels[event] if event >= 0 else "",
            "segments": int(answers.true.mask[i].sum()),
            "length": lengths[i],
            "start": "" if reasons[i] else starts[i],
            **{key: "" if reasons[i] else int(answers.values[key][i]) for key in DIRECTIONS},
            **{
                key: "" if reasons[i] else float(answers.values[key][i])
                for key in (f"{direction}_hit" for direction in DIRECTIONS)
            },
            "left_out": reasons[i],
        }
