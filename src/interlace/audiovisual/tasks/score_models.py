"""Score checkpoints on a split: each by itself, and the seeds of a method together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlace.audiovisual.tasks.answers import BATCH_SIZE, TASKS
from interlace.audiovisual.tasks.evaluation import EventReport, evaluate_events
from interlace.audiovisual.tasks.event_checkpoint import (
    MODEL,
    EventCard,
    load_event_model,
    methods_of,
    read_event_card,
)
from interlace.audiovisual.tasks.event_output import RESULTS, read_json, write_report, write_results
from interlace.audiovisual.tasks.loaded import Prints, fingerprints, in_both, loaded
from interlace.audiovisual.tasks.seed_table import SeedRow
from interlace.audiovisual.timelines.timeline import TimelineSet
from interlace.devices import choose_device
from interlace.provenance import describe_device, provenance


@dataclass(frozen=True)
class ScoredModel:
    """A checkpoint and what it scored."""

    path: Path
    card: EventCard
    report: EventReport


def find_models(paths: Sequence[Path]) -> list[Path]:
    """The checkpoints that are named, and those below the folders that are named (``SEED/model.safetensors``).

    Raises:
        ValueError: a folder holds none, or one is named twice.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.tasks.score_models import find_models
        >>> [path.as_posix() for path in find_models([Path("dam.safetensors")])]
        ['dam.safetensors']
    """
    found: list[Path] = []
    for path in paths:
        below = sorted(path.rglob(MODEL), key=_by_number) if path.is_dir() else [path]
        if not below:
            raise ValueError(
                f"{path} holds no {MODEL}; name a checkpoint, or a folder that `interlace av train` wrote"
            )
        found += below
    resolved = [path.resolve() for path in found]
    twice = next((path for path in found if resolved.count(path.resolve()) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; a seed counts once")
    return found


def score_models(
    models: Sequence[Path],
    timelines: TimelineSet,
    *,
    split: str,
    output: Path,
    overwrite: bool = False,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    extractor_sha256: str | None = None,
    tell: Callable[[str], None] = print,
) -> list[SeedRow]:
    """Score every checkpoint, and write a report for each and a table of all.

    ``output/METHOD/seedN`` receives metrics.json, predictions.csv, per_event.csv and, for SEL, confusion.csv;
    ``output`` receives results.md, .csv and .json.

    Args:
        models: checkpoints of one task, trained on the same labels.
        timelines: what they are scored on.
        split: its name, for the table.
        output: folder of the reports.
        overwrite: replace those of another evaluation.
        batch_size: timelines at a time; the result does not depend on it.
        device: auto, cpu, cuda, cuda:1 or mps.
        extractor_sha256: of the networks that made the features, if it is known.
        tell: is given lines for a person.

    Returns:
        One row a method: a metric's mean and spread over its seeds.

    Raises:
        ValueError: checkpoints of two tasks, other labels or features, two of the same method and seed, a folder that
            holds another evaluation.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.tasks.score_models import find_models, score_models
        >>> models = find_models([Path("runs/av/dam")])
        >>> score_models(models, test, split="test", output=Path("test"))[0].mean("accuracy")  # doctest: +SKIP
        74.5
    """
    timelines = loaded(timelines)
    prints = fingerprints(timelines)
    sha = prints.whole
    if not overwrite:
        _require_same(output / f"{RESULTS}.json", sha, models)
    cards = [read_event_card(path) for path in models]
    _require_alike(models, cards, timelines, extractor_sha256)
    about = {
        "title": TASKS[cards[0].task],
        "task": cards[0].task,
        "split": split,
        "data": f"{timelines.source or 'timelines'} ({len(timelines)} timelines)",
        "data_sha256": sha,
        "device": describe_device(str(choose_device(device))),
        **provenance(),
    }
    rows: dict[str, SeedRow] = {}
    for path, card in zip(models, cards, strict=True):
        network = load_event_model(path).network
        report = evaluate_events(network, timelines, card.task, batch_size=batch_size, device=device)
        seed = _seed_of(card)
        folder = output / card.method / f"seed{seed}"
        write_report(
            folder, report, card.labels, {**about, "model": str(path), "method": card.method, "seed": seed}
        )
        rows.setdefault(card.method, SeedRow(card.method)).by_seed[seed] = report.metrics
        tell(f"{path}: {report}")
        for reason, count in report.left_out.items():
            tell(f"  left out: {count} videos, {reason}")
        if note := _seen_before(card, prints):
            tell(f"  note: {note}")
    notes = {name: methods_of(cards[0].task)[name].summary for name in rows}
    write_results(
        output,
        {split: list(rows.values())},
        {**about, "models": [str(path) for path in models], "notes": notes},
    )
    return list(rows.values())


def _require_same(written: Path, sha: str, models: Sequence[Path]) -> None:
    """The same evaluation may be run again; another one does not take its place unasked."""
    told = read_json(written) if written.exists() else None
    if told and (told.get("data_sha256"), told.get("models")) != (sha, [str(path) for path in models]):
        raise ValueError(
            f"{written.parent} holds the report of another evaluation; name another folder, or allow it to be "
            "overwritten (overwrite)"
        )


def _require_alike(
    models: Sequence[Path], cards: Sequence[EventCard], timelines: TimelineSet, extractor_sha256: str | None
) -> None:
    known: dict[tuple[str, int], Path] = {}
    for path, card in zip(models, cards, strict=True):
        if card.task != cards[0].task:
            raise ValueError(
                f"{path} is of task {card.task}, {models[0]} of {cards[0].task}; score one task at a time"
            )
        if card.labels != timelines.labels:
            raise ValueError(
                f"{path} knows the events {', '.join(card.labels)}, {timelines.source or 'the data'} has "
                f"{', '.join(timelines.labels)}; they must be the same, in the same order"
            )
        trained_with = card.training.get("extractor_sha256")
        if trained_with and extractor_sha256 and trained_with != extractor_sha256:
            raise ValueError(
                f"{path} was trained on features of other networks than these; compute them with its own "
                "(`interlace av features` with the same options)"
            )
        key = (card.method, _seed_of(card))
        if key in known:
            raise ValueError(
                f"{path} and {known[key]} are both {key[0]} with seed {key[1]}; a mean is over different seeds, "
                "score one of them by itself"
            )
        known[key] = path


def _seen_before(card: EventCard, prints: Prints) -> str:
    if card.training.get("train_sha256") == prints.whole:
        return "it was trained on these very timelines"
    if count := in_both(card.training.get("timelines", ()), prints.each):
        return f"it was trained on {count} of these {len(prints.each)} timelines; its numbers are too good"
    if card.training.get("val_sha256") == prints.whole:
        return "its weights were selected on these very timelines; the test split says what to expect of new ones"
    return ""


def _seed_of(card: EventCard) -> int:
    return int(card.training.get("seed", 0))


def _by_number(path: Path) -> list[Any]:
    """seed10 after seed9."""
    words = [str(part) for part in path.parts]
    return [(word.rstrip("0123456789"), len(word), word) for word in words]
