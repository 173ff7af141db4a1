"""`interlace demo`: the main job from start to end on the built-in data."""

from __future__ import annotations

import time
from pathlib import Path

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Run the demo."""
    return demo(**parse("demo", demo, arguments))


def demo(*, output: Path = Path("demo"), seed: int = 0, epochs: int = 12, clips_per_class: int = 40) -> int:
    """Render the built-in data, train TSN and TIN on it from scratch, evaluate both, and predict on a new file.

    The classes come in pairs that only the order of the frames tells apart, so a network that averages over frames
    (TSN) cannot pass 50 %.

    Args:
        output: Folder that receives the data, both runs and the report.
        seed: Seed of the data and of the training.
        epochs: Training epochs of each network.
        clips_per_class: Rendered training clips of each of the ten classes.
    """
    from rich.console import Console
    from rich.table import Table

    from interlace.data.annotations import read_annotations
    from interlace.data.render import render
    from interlace.evaluation.evaluate import evaluate
    from interlace.inference import load
    from interlace.plots import accuracy_bars
    from interlace.training.config import AugmentConfig, OptimConfig, TrainConfig
    from interlace.training.run import train

    start = time.monotonic()
    data = render(output / "data", clips_per_class=clips_per_class, val_clips_per_class=20, size=96, seed=seed)
    clips = read_annotations(data, data / "val.csv")
    table = Table("network", "top-1 %", "top-5 %", "training", title=f"{len(clips.samples)} clips that no network has seen")
    top1 = {}
    for method in ("tsn", "tin"):
        print(f"\n{method.upper()} on ResNet-18, {epochs} epochs from scratch")
        began = time.monotonic()
        best = train(
            TrainConfig(
                data=data,
                model=f"{method}_resnet18",
                pretrained=False,
                image_size=64,
                epochs=epochs,
                batch_size=16,
                lr=0.02,
                dropout=0.2,
                seed=seed,
                output=output / method,
                augment=AugmentConfig(flip=False, crop_scales=(1.0, 0.875)),
                optim=OptimConfig(base_batch_size=16, head_lr_factor=1.0),
            )
        )
        seconds = time.monotonic() - began
        report = evaluate([best], clips, protocol="1clip-center", output=output / f"report-{method}")
        top1[method.upper()] = report.metrics["top1"]
        table.add_row(method.upper(), f"{report.metrics['top1']:.1f}", f"{report.metrics['top5']:.1f}", f"{seconds:.0f} s")
    Console().print("\n", table)
    accuracy_bars(top1, output / "comparison.png", title="Top-1 on the built-in data, %")
    clip = clips.samples[0]
    prediction = load(output / "tin" / "best.safetensors")(clip.path)
    print(f"the clip's class is {clips.classes[clip.labels[0]]}; TIN says of\n{prediction}")
    print(f"\nreport:     {output / 'report-tin' / 'report.html'}")
    print(f"comparison: {output / 'comparison.png'}")
    print(f"all of it took {time.monotonic() - start:.0f} s")
    return 0
