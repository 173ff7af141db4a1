"""Train and score every row with every seed, and keep the table up to date."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from interlace.ablation.rows import Row, row_facts
from interlace.ablation.table import RowResult, markdown_table, write_tables
from interlace.data.annotations import Annotations
from interlace.evaluation import evaluate
from interlace.evaluation.output import clips_sha256
from interlace.files import whole_file
from interlace.provenance import provenance
from interlace.training.config import TrainConfig
from interlace.training.parts import network_arguments
from interlace.training.run import read_annotations, train
from interlace.training.run_folder import to_plain


def ablate(config: TrainConfig, rows: Sequence[Row], seeds: Sequence[int]) -> Path:
    """Train a network for each row and seed, score its last weights on the validation clips, tabulate.

    Each run has its folder ``output/ROW/seedN``. The tables, results.md, .csv and .json in ``output``, are
    written after each run. Called again with the same settings, it trains only what is not done: finished runs
    are read, an interrupted one goes on from its last.ckpt. All rows of a seed come before the next seed, so
    that there is a whole table early. The last weights are scored, not the best: nothing is selected on the clips.

    Args:
        config: of every run; seed, output, resume and the groups in model_args are set here.
        rows: the groups; a row whose network cannot be built is in the table with the reason.
        seeds: of the initial weights and all random choices.

    Returns:
        The table, output/results.md.

    Raises:
        ValueError: settings that cannot work, or that are not those of the runs in the output folder.
        Interrupted: SIGTERM or Ctrl-C came; what is done is kept.

    Example:
        >>> from pathlib import Path
        >>> from interlace.ablation import TABLE_5, ablate
        >>> from interlace.training.config import TrainConfig
        >>> config = TrainConfig(data=Path("clips"), model="tin_resnet18", output=Path("runs/ablation"))
        >>> table = ablate(config, list(TABLE_5), seeds=[0, 1, 2])  # doctest: +SKIP
    """
    _check(config, rows, seeds)
    train_set, val_set = read_annotations(config)
    arguments = network_arguments(config, num_classes=len(train_set.classes))
    facts = {row: row_facts(row, config.model, **arguments) for row in rows}
    results = [RowResult(row, facts[row]) for row in rows]
    for result in results:
        if result.note:
            print(f"{result.row}: {result.note}", flush=True)
    runs = [(index, seed) for seed in seeds for index in range(len(rows)) if not results[index].facts.problem]
    if not runs:
        raise ValueError(f"no row can be trained with {config.model}: {results[0].note}")
    about: dict[str, Any] = {
        "data": val_set.source,
        "num_clips": len(val_set),
        "data_sha256": [clips_sha256(clips) for clips in (train_set, val_set)],
        "seeds": list(seeds),
        "settings": to_plain(asdict(config)),
        **provenance(),
    }
    _require_same_clips(config.output / "results.json", about["data_sha256"])
    clock = _Clock(len(runs))
    table = write_tables(config.output, results, about)
    try:
        for number, (index, seed) in enumerate(runs, start=1):
            result = results[index]
            print(f"\nrun {number} of {len(runs)}: {result.row}, seed {seed}{clock.left()}", flush=True)
            with clock:
                score = _run(_config_of(config, result.row, seed), val_set)
            results[index] = _with(result, seed, score)
            table = write_tables(config.output, results, about)
    except (KeyboardInterrupt, SystemExit):
        done = sum(len(result.by_seed) + len(result.failures) for result in results)
        print(f"{done} of {len(runs)} runs are in {table}; the same command goes on", file=sys.stderr)
        raise
    print(f"\n{markdown_table(results)}\n", flush=True)
    return table


def _check(config: TrainConfig, rows: Sequence[Row], seeds: Sequence[int]) -> None:
    for what, values in (("row", rows), ("seed", seeds)):
        if not values:
            raise ValueError(f"there is no {what} to train")
        twice = next((value for value in values if list(values).count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"the {what} {twice} is there twice; each is trained once")
    given = sorted({"num_groups", "mirrored"} & config.model_args.keys())
    if given:
        raise ValueError(f"model_args has {', '.join(given)}, which the rows set; choose the rows instead")
    processes = config.trainer.devices * config.trainer.num_nodes
    if processes > 1:
        raise ValueError(
            f"an ablation runs on one device, not on {processes}; on several machines, run some of the rows on each"
        )


def _require_same_clips(written: Path, clips: list[str]) -> None:
    """A finished run is not looked at again, so it must be of the same clips."""
    if written.exists() and json.loads(written.read_text()).get("data_sha256") != clips:
        raise ValueError(
            f"the clips or their labels have changed since {written} was begun; restore them, or begin a new "
            "ablation with another --output"
        )


def _config_of(config: TrainConfig, row: Row, seed: int) -> TrainConfig:
    return replace(
        config,
        model_args={**config.model_args, **row.arguments},
        seed=seed,
        output=config.output / row.name / f"seed{seed}",
        resume=True,  # begins where there is nothing to go on with
    )


@dataclass(frozen=True)
class _Score:
    metrics: Mapping[str, float]
    problem: str = ""


def _run(config: TrainConfig, clips: Annotations) -> _Score:
    """Train, or go on, or find it done; then score, unless that is done too."""
    train(config)
    written = config.output / "score.json"
    if written.exists():
        return _Score(**json.loads(written.read_text()))
    try:
        report = evaluate(
            [config.output / "last.safetensors"],
            clips,
            batch_size=config.batch_size,
            num_workers=config.trainer.num_workers,
            device={"gpu": "cuda"}.get(config.trainer.accelerator, config.trainer.accelerator),
            on_error=config.on_error,
            frame_template=config.frames,
            output=config.output / "evaluation",
            overwrite=True,
        )
        score = _Score(report.metrics)
    except ValueError as error:  # numbers that are not finite: one diverged run is a result, not the end
        score = _Score({}, f"could not be scored: {error}")
    with whole_file(written) as beside:
        beside.write_text(json.dumps(asdict(score)) + "\n")
    return score


def _with(result: RowResult, seed: int, score: _Score) -> RowResult:
    if score.problem:
        return replace(result, failures={**result.failures, seed: score.problem})
    return replace(result, by_seed={**result.by_seed, seed: score.metrics})


class _Clock:
    """How long the runs that are left will take, from those that were trained just now."""

    def __init__(self, runs: int) -> None:
        self.left_over, self.seconds = runs, list[float]()

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *error: Any) -> None:
        self.seconds.append(time.monotonic() - self.start)
        self.left_over -= 1

    def left(self) -> str:
        trained = [seconds for seconds in self.seconds if seconds > 1]  # others were done already
        if not trained:
            return ""
        return f", about {self.left_over * sum(trained) / len(trained) / 60:.0f} min left"
