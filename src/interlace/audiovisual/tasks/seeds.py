"""Train methods with several seeds, and keep the table of their means and spreads up to date."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from interlace.audiovisual.features.extractor import Extractor
from interlace.audiovisual.tasks.answers import TASKS, NotFiniteError
from interlace.audiovisual.tasks.evaluation import evaluate_events
from interlace.audiovisual.tasks.event_checkpoint import (
    MODEL,
    EventCard,
    find_method,
    load_event_model,
    save_event_model,
)
from interlace.audiovisual.tasks.event_output import (
    REPORT,
    read_json,
    write_history,
    write_json,
    write_report,
    write_results,
)
from interlace.audiovisual.tasks.event_settings import EpochRow, EventSettings
from interlace.audiovisual.tasks.loaded import fingerprints, in_both, loaded
from interlace.audiovisual.tasks.seed_table import SeedRow
from interlace.audiovisual.tasks.training import Fitted, build_network, require_fitting, train_events
from interlace.audiovisual.timelines.timeline import TimelineSet
from interlace.devices import choose_device
from interlace.provenance import describe_device, provenance

RESULT = "result.json"
"""Of a run that is done."""
VALIDATION, TEST = "validation", "test"
DATA = {
    "train_sha256": "training timelines",
    "val_sha256": "validation timelines",
    "extractor_sha256": "networks of the features",
}
"""What a run is of, beside its settings."""

Progress = Callable[[str, EpochRow, EpochRow], None]
"""Told the run, the epoch just done and the best so far."""


def train_seeds(
    methods: Sequence[str],
    train_set: TimelineSet,
    val_set: TimelineSet,
    settings: EventSettings,
    seeds: Sequence[int],
    output: Path,
    *,
    test_set: TimelineSet | None = None,
    extractor: Extractor | None = None,
    extractor_sha256: str | None = None,
    tell: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> dict[str, list[SeedRow]]:
    """Train each method with each seed; the weights are selected on validation.

    A run is in ``output/METHOD/seedN``: model.safetensors, history.csv and result.json, which is written last. A run
    that has it is not trained again, so a stopped command goes on; the run that it was stopped in begins anew. All
    methods of a seed come before the next seed. What is fitted in closed form is the same for every seed and fitted
    once. The tables, results.md, .csv and .json in ``output``, are written after each run; they hold the methods and
    seeds of this call.

    Args:
        methods: names of methods of the settings' task.
        train_set: fitted to.
        val_set: selects the weights.
        settings: of every run.
        seeds: of the initial weights and all random choices.
        output: folder of the runs.
        test_set: scored at the end with the selected weights, once a run.
        extractor: what the features were made with; it goes into the checkpoints.
        extractor_sha256: its fingerprint, where it is to stay out of them: other networks are refused all the same.
        tell: is given lines for a person.
        progress: told after every epoch.

    Returns:
        The rows of "validation" and, with a test set, of "test".

    Raises:
        ValueError: settings that cannot work, or that are not those of the runs in ``output``; other data.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.tasks.seeds import train_seeds
        >>> from interlace.audiovisual.tasks.event_settings import EventSettings
        >>> tables = train_seeds(
        ...     ["dam", "chance"], train, val, EventSettings(), seeds=[0, 1, 2], output=Path("runs/av")
        ... )  # doctest: +SKIP
        >>> tables["validation"][0].mean("accuracy")  # doctest: +SKIP
        74.5
    """
    test_set = loaded(test_set) if test_set is not None else None
    sha = extractor.fingerprint() if extractor is not None else extractor_sha256
    runs = _Runs(
        methods, loaded(train_set), loaded(val_set), settings, seeds, output, test_set, extractor, sha
    )
    for line in runs.warnings:
        tell(line)
    for number, (method, seed) in enumerate(runs.planned, start=1):
        name = f"{method}, seed {seed}"
        if runs.is_done(method, seed):
            tell(f"{name} ({number} of {len(runs.planned)}): done before, {runs.summary(method, seed)}")
            continue
        try:
            runs.train(method, seed, partial(progress, name) if progress else None)
        except NotFiniteError as error:  # one diverged run is a result, not the end
            runs.rows[VALIDATION][method].failures[seed] = str(error)
            tell(f"{name} ({number} of {len(runs.planned)}): {error}")
            continue
        finally:
            runs.write()
        tell(f"{name} ({number} of {len(runs.planned)}): {runs.summary(method, seed)}")
    if test_set is not None:
        for method, seed in runs.planned:
            if seed in runs.rows[VALIDATION][method].by_seed:
                runs.test(method, seed)
    runs.write()
    return {split: list(rows.values()) for split, rows in runs.rows.items()}


class _Runs:
    """The runs of a folder, those that are done and those that are to come."""

    def __init__(
        self,
        methods: Sequence[str],
        train_set: TimelineSet,
        val_set: TimelineSet,
        settings: EventSettings,
        seeds: Sequence[int],
        output: Path,
        test_set: TimelineSet | None,
        extractor: Extractor | None,
        extractor_sha256: str | None,
    ) -> None:
        for what, values in (("method", methods), ("seed", seeds)):
            _require_each_once(what, values)
        require_fitting(train_set, val_set, test_set)
        self.methods = {name: find_method(settings.task, name) for name in methods}
        # Arguments that cannot work are known before the first hour of training.
        for chosen in self.methods.values():
            with torch.random.fork_rng(devices=[]):
                build_network(chosen, train_set, settings.network)
        self.train_set, self.val_set, self.test_set = train_set, val_set, test_set
        self.settings, self.output, self.extractor = settings, output, extractor
        self.planned = [
            (name, seed)
            for seed in seeds
            for name, method in self.methods.items()
            if method.fitted == "gradient" or seed == seeds[0]
        ]
        train, val = fingerprints(train_set), fingerprints(val_set)
        self.trained_on = list(train.each)
        self.data = {"train_sha256": train.whole, "val_sha256": val.whole}
        self.test_sha, apart = "", {VALIDATION: val}
        if test_set is not None:
            apart[TEST] = fingerprints(test_set)
            self.test_sha = apart[TEST].whole
        self.warnings = [
            f"note: {count} of the {len(prints.each)} timelines of {split} are in training too; its numbers are too "
            "good"
            for split, prints in apart.items()
            if (count := in_both(train.each, prints.each))
        ]
        if extractor_sha256 is not None:
            self.data["extractor_sha256"] = extractor_sha256
        self.about = {
            "title": TASKS[settings.task],
            "task": settings.task,
            "data": f"{train_set.source or 'training'} ({len(train_set)} timelines), validation "
            f"{val_set.source or 'timelines'} ({len(val_set)})",
            **self.data,
            "labels": list(train_set.labels),
            "settings": _plain(settings),
            "seeds": list(seeds),
            "notes": {name: method.summary for name, method in self.methods.items()},
            "device": describe_device(str(choose_device(settings.device))),
            **provenance(),
        }
        splits = (VALIDATION, TEST) if test_set is not None else (VALIDATION,)
        self.rows = {split: {name: SeedRow(name) for name in methods} for split in splits}
        self.epochs: dict[tuple[str, int], int] = {}
        for method, seed in self.planned:
            if self._folder(method, seed).joinpath(RESULT).exists():
                self._add(method, seed)

    def is_done(self, method: str, seed: int) -> bool:
        return (method, seed) in self.epochs

    def train(self, method: str, seed: int, progress: Any) -> None:
        start = time.monotonic()
        fitted = train_events(
            self.methods[method], self.train_set, self.val_set, self.settings, seed, progress=progress
        )
        folder = self._folder(method, seed)
        (folder / TEST / REPORT).unlink(missing_ok=True)  # of weights that are replaced now
        facts = {**self.data, "seed": seed, "epoch": fitted.epoch, "settings": _plain(self.settings)}
        save_event_model(folder / MODEL, fitted.network, self._card(method, fitted, facts), self.extractor)
        write_history(folder / "history.csv", fitted.history)
        result = {
            "method": method,
            "metrics": fitted.metrics,
            "seconds": round(time.monotonic() - start, 2),
            **facts,
        }
        write_json(folder / RESULT, {**result, **provenance()})
        self._add(method, seed)

    def test(self, method: str, seed: int) -> None:
        """Score the selected weights; what was scored before is read."""
        assert self.test_set is not None
        folder = self._folder(method, seed)
        written = folder / TEST / REPORT
        told = read_json(written) if written.exists() else {}
        if told.get("data_sha256") != self.test_sha:
            network = load_event_model(folder / MODEL).network
            report = evaluate_events(network, self.test_set, self.settings.task, device=self.settings.device)
            about = {
                "data": self.test_set.source,
                "data_sha256": self.test_sha,
                "seed": seed,
                "method": method,
                **provenance(),
            }
            write_report(folder / TEST, report, self.test_set.labels, about)
            told = {"metrics": report.metrics}
        self.rows[TEST][method].by_seed[seed] = told["metrics"]

    def write(self) -> None:
        """The tables of what is done."""
        scored = {split: list(rows.values()) for split, rows in self.rows.items()}
        tables = {split: rows for split, rows in scored.items() if any(row.by_seed for row in rows)}
        epochs = {f"{method}/seed{seed}": epoch for (method, seed), epoch in self.epochs.items()}
        write_results(self.output, tables, {**self.about, "best_epochs": epochs})

    def summary(self, method: str, seed: int) -> str:
        metrics = self.rows[VALIDATION][method].by_seed[seed]
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
        epoch = self.epochs[method, seed]
        return f"{numbers} in epoch {epoch}" if epoch else numbers

    def _folder(self, method: str, seed: int) -> Path:
        return self.output / method / f"seed{seed}"

    def _add(self, method: str, seed: int) -> None:
        """Take a finished run into the table."""
        path = self._folder(method, seed) / RESULT
        told = read_json(path)
        changed = [DATA[name] for name, value in self.data.items() if told.get(name, value) != value]
        if settings := _changes(told.get("settings", {}), _plain(self.settings)):
            changed.append(f"settings ({settings})")
        if changed:
            raise ValueError(
                f"{path} is of other {' and '.join(changed)} than these; give those again to go on, or begin anew with "
                "another --output"
            )
        self.rows[VALIDATION][method].by_seed[seed] = told["metrics"]
        self.epochs[method, seed] = told["epoch"]

    def _card(self, method: str, fitted: Fitted, facts: dict[str, Any]) -> EventCard:
        return EventCard(
            task=self.settings.task,
            method=method,
            network=dict(fitted.network.builder_args),  # type: ignore[arg-type]
            labels=self.train_set.labels,
            extractor=self.extractor.spec if self.extractor else None,
            metrics=fitted.metrics,
            training={
                **facts,
                "data": self.train_set.source,
                "timelines": self.trained_on,
                **provenance(),
            },
        )


def _plain(settings: EventSettings) -> dict[str, Any]:
    """As JSON gives them back, without the device, which changes no more than the last digits."""
    values = json.loads(json.dumps(asdict(settings)))
    del values["device"]
    return values


def _changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Which settings differ: ``epochs 3 -> 1, network.width 64 -> 128``."""
    flat = [
        {**values, **{f"network.{name}": value for name, value in values.get("network", {}).items()}}
        for values in (old, new)
    ]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if name != "network"]
    told = [tuple(values.get(name, "not given") for values in flat) for name in names]
    return ", ".join(
        f"{name} {before} -> {now}" for name, (before, now) in zip(names, told, strict=True) if before != now
    )


def _require_each_once(what: str, values: Sequence[str] | Sequence[int]) -> None:
    if not values:
        raise ValueError(f"there is no {what} to train")
    twice = next((value for value in values if list(values).count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"the {what} {twice} is there twice; each is trained once")
    if what == "seed" and min(values) < 0:  # type: ignore[operator]
        raise ValueError(f"seed {min(values)} is below 0")
