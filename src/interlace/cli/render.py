"""`interlace render DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Write the built-in data."""
    return render(**parse("render", render, arguments))


def render(
    output: Path,
    *,
    classes: Literal["moves", "long_range"] = "moves",
    clips_per_class: int = 20,
    val_clips_per_class: int = 10,
    size: int = 96,
    seed: int = 0,
    pause: float | None = None,
) -> int:
    """Write the built-in data set: real H.264 files in classes that no single frame tells apart.

    Args:
        output: Folder that receives a folder per class, train.csv and val.csv.
        classes: moves: ten classes in pairs that only the order of the frames tells apart; long_range: four classes
            that only the beginning and the end of a clip tell together.
        clips_per_class: Training clips of each class.
        val_clips_per_class: Validation clips of each class.
        size: Height and width in pixels.
        seed: The same seed gives the same clips.
        pause: With long_range, how much of a clip lies between its beginning and its end (0.34 if omitted).
    """
    from interlace.data.render import render as write

    folder = write(
        output,
        classes=classes,
        clips_per_class=clips_per_class,
        val_clips_per_class=val_clips_per_class,
        size=size,
        seed=seed,
        pause=pause,
    )
    print(
        f"{folder}: train it with  interlace train {shlex.quote(str(folder))} --model tin_resnet18 --image_size 64"
    )
    return 0
