"""`interlace demo`: the main job from start to end on the built-in data."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from interlace.cli.parser import parse
from interlace.training.config import AugmentConfig, OptimConfig, TrainConfig, TrainerConfig


def run(arguments: list[str]) -> int:
    """Run the demo."""
    return demo(**parse("demo", demo, arguments))


def demo(
    *,
    output: Path = Path("demo"),
    backbone: str = "test_resnet",
    epochs: int = 25,
    clips_per_class: int = 30,
    seed: int = 0,
) -> int:
    """Render the built-in data, train TSN and TIN on it from scratch, evaluate both, and predict on a new file.

    The classes come in pairs that only the order of the frames tells apart, so a network that averages over frames
    (TSN) cannot pass 50 %. Started again in the same folder, it goes on where it stopped.

    Args:
        output: Folder that receives the data, both runs and the reports.
        backbone: The 2-D network in both; the default is timm's smallest ResNet, which two cores train in minutes.
        epochs: Training epochs of each network.
        clips_per_class: Rendered training clips of each of the ten classes.
        seed: Seed of the data and of the training.
    """
    from rich.console import Console
    from rich.table import Table

    from interlace.allocator import keep_freed_memory
    from interlace.data.annotations import read_annotations
    from interlace.data.render import render
    from interlace.evaluation.evaluate import evaluate
    from interlace.inference import load
    from interlace.plots import accuracy_bars
    from interlace.training.run import train

    keep_freed_memory()
    start = time.monotonic()
    data = render(
        output / "data", clips_per_class=clips_per_class, val_clips_per_class=20, size=96, seed=seed
    )
    clips = read_annotations(data, data / "val.csv")
    table = Table("network", "top-1 %", "top-5 %", title=f"{len(clips)} unseen clips")
    top1 = {}
    for method in ("tsn", "tin"):
        print(f"\n{method.upper()} on {backbone}, {epochs} epochs from scratch", flush=True)
        config = demo_config(data, output / method, f"{method}_{backbone}", epochs=epochs, seed=seed)
        train(replace(config, resume=(config.output / "last.ckpt").exists()))
        # The last weights, not the best: nothing is selected on the clips that are scored.
        report = evaluate([config.output / "last.safetensors"], clips, output=output / f"report-{method}")
        top1[method.upper()] = report.metrics["top1"]
        table.add_row(method.upper(), f"{report.metrics['top1']:.1f}", f"{report.metrics['top5']:.1f}")
    bars = accuracy_bars(
        list(top1),
        list(top1.values()),
        output / "comparison.png",
        title="Built-in data, top-1 %",
        chance=10.0,
    )
    clip = clips.samples[0]
    prediction = load(output / "tin" / "last.safetensors")(clip.path, top_k=3)

    print()
    Console().print(table)
    print(
        f"a clip of the class {clips.classes[clip.labels[0]]!r}, and what TIN says of it:\n  {prediction}\n"
    )
    print(f"report:     {output / 'report-tin' / 'report.html'}")
    print(f"comparison: {bars}")
    print(f"it took {time.monotonic() - start:.0f} s")
    return 0


def demo_config(data: Path, output: Path, model: str, *, epochs: int, seed: int) -> TrainConfig:
    """A run from scratch on small pictures; mirrored clips take the label of their mirrored class."""
    return TrainConfig(
        data=data,
        model=model,
        pretrained=False,
        image_size=64,
        epochs=epochs,
        batch_size=8,
        lr=0.05,
        dropout=0.0,
        seed=seed,
        output=output,
        augment=AugmentConfig(crop_scales=(1.0, 0.875)),
        optim=OptimConfig(base_batch_size=8),
        trainer=TrainerConfig(validate_every=5),
    )
