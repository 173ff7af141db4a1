"""`interlace av train DATA --task sel --method dam`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from interlace.cli.parser import complain, parse

if TYPE_CHECKING:
    from interlace.audiovisual.tasks.event_settings import EpochRow


def run(arguments: list[str]) -> int:
    """Train networks of audio-visual events."""
    return train(**parse("av train", train, arguments))


def train(
    data: Path,
    *,
    task: Literal["sel", "cml"] = "sel",
    method: list[str] = ["dam"],  # noqa: B006 - only read
    features: Path | None = None,
    output: Path | None = None,
    seeds: int = 1,
    first_seed: int = 0,
    epochs: int = 60,
    patience: int = 15,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "cosine"] = "constant",
    clip_gradient: float = 0.0,
    network: dict[str, Any] | None = None,
    val_share: float = 0.2,
    test: bool = False,
    embed: bool = True,
    device: str = "auto",
) -> int:
    """Train networks that find audio-visual events, with several seeds, and tabulate mean and spread.

    DATA is a folder in the format of AVE, one of train.safetensors and val.safetensors, or one of train.csv and val.csv
    (path,event,start,end in seconds; with --features). Weights are selected on the validation split. Each run is in
    OUTPUT/METHOD/seedN; finished ones are kept: the same command goes on where it was stopped.

    Args:
        data: Folder of the timelines, or a CSV file of events.
        task: sel: label every second with its event or background; cml: find the event of one modality in the other.
        method: One or more of dam, dam_joint, audio, visual, concat, avel, chance (sel) or dam, dam_local, avdln, cca,
            chance (cml), behind DATA, or with commas: dam,chance.
        features: Folder that `interlace av features` wrote, for lists of events in video files.
        output: Folder that receives a folder for each run, and results.md, .csv and .json; by default
            runs/av_TASK.
        seeds: How many times each method is trained, each with another seed.
        first_seed: The first of them; the others follow it.
        epochs: Passes over the training timelines, at most.
        patience: Epochs without a better validation score after which training ends; 0 is never.
        batch_size: Timelines in a step.
        lr: Learning rate of Adam.
        weight_decay: Decay of the weights (AdamW).
        schedule: Of the learning rate: constant, or a cosine down to zero in the last epoch.
        clip_gradient: Largest norm of a step's gradient; 0 is no limit.
        network: Arguments of the network, e.g. --network.width 128.
        val_share: Share of the videos that is held out for validation where a list of events has no val.csv.
        test: Score the selected weights on the test split as well, once, when all runs are done.
        embed: Put the networks of the features into each checkpoint, so that `interlace av predict` needs nothing else;
            --no-embed saves their room (VGG-19 and VGGish: hundreds of MB a run) and predict takes --extractor.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.audiovisual.features.extractor import about_extractor, load_extractor
    from interlace.audiovisual.features.feature_store import EXTRACTOR
    from interlace.audiovisual.tasks.event_checkpoint import MODEL
    from interlace.audiovisual.tasks.event_output import RESULTS
    from interlace.audiovisual.tasks.event_settings import EventSettings
    from interlace.audiovisual.tasks.seed_table import markdown_table
    from interlace.audiovisual.tasks.seeds import train_seeds
    from interlace.audiovisual.timelines.open_timelines import open_timelines
    from interlace.cli.av_output import require_writable

    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: train with one seed at least")
    output = output or Path("runs") / f"av_{task}"
    require_writable("output", output)
    try:
        settings = EventSettings(
            task=task,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            clip_gradient=clip_gradient,
            network=network or {},
            device=device,
        )
    except ValueError as error:
        raise ValueError(f"--{error}") from error  # each begins with the name of a setting
    keep_freed_memory()
    methods = [name for word in method for name in word.split(",") if name]
    splits = ("train", "val", "test") if test else ("train", "val")
    sets = {name: open_timelines(data, name, features=features, val_share=val_share) for name in splits}
    for name, timelines in sets.items():
        print(
            f"{name + ':':<7}{len(timelines)} timelines, {len(timelines.labels)} events: {timelines.source}",
            flush=True,
        )
    try:
        with _progress(epochs) as progress:
            tables = train_seeds(
                methods,
                sets["train"],
                sets["val"],
                settings,
                list(range(first_seed, first_seed + seeds)),
                output,
                test_set=sets.get("test"),
                extractor=load_extractor(features / EXTRACTOR) if features and embed else None,
                extractor_sha256=about_extractor(features / EXTRACTOR)["fingerprint"] if features else None,
                tell=lambda line: print(line, flush=True),
                progress=progress,
            )
    except KeyboardInterrupt:
        print(f"finished runs are in {output}; the same command goes on with the others", file=sys.stderr)
        raise
    for split, rows in tables.items():
        print(f"\n{split}:\n{markdown_table(rows)}")
    print(f"\ntable:    {output / RESULTS}.md, .csv and .json")
    done = [(row.method, seed) for row in tables["validation"] for seed in sorted(row.by_seed)]
    if done:
        name, seed = done[0]
        model = shlex.quote(str(output / name / f"seed{seed}" / MODEL))
        more = f" --features {shlex.quote(str(features))}" if features else ""
        more += (
            " --split val" if data.is_file() else " --split test"
        )  # a single list is all for these two splits
        more += f" --val_share {val_share:g}" if data.is_file() and val_share != 0.2 else ""
        print(f"evaluate: interlace av evaluate {shlex.quote(str(output))} {shlex.quote(str(data))}{more}")
        if features:
            query = " --query audio --start 2 --end 4" if task == "cml" else ""
            other = "" if embed else f" --extractor {shlex.quote(str(features / EXTRACTOR))}"
            print(f"predict:  interlace av predict {model} VIDEO{query}{other}")
    failed = sum(len(row.failures) for row in tables["validation"])
    if failed:
        return complain(f"{failed} of {len(done) + failed} runs went wrong (listed above)", status=1)
    return 0


@contextmanager
def _progress(epochs: int) -> Iterator[Callable[[str, EpochRow, EpochRow], None]]:
    """A bar for the run in hand on a terminal; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=epochs)

        def report(name: str, row: EpochRow, best: EpochRow) -> None:
            main = list(row)[2]  # after epoch and loss
            text = f"{name}: {main} {row[main]:.1f}, best {best[main]:.1f} in epoch {best['epoch']:.0f}"
            bar.update(task, completed=int(row["epoch"]), description=text)

        yield report
