"""Studies on the built-in data, which is rendered: they need nothing but the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from interlace.data.render import render
from studies.plan import Arm, Data, Split, Study


def _moves(data: Path, runs: Path) -> Path:
    del data
    return render(runs / "data" / "moves_small", clips_per_class=4, val_clips_per_class=2, size=48)


def _lists(data: Path, folder: Path) -> tuple[Path, Path]:
    for name, made in (("train", "train"), ("val", "scored")):
        shutil.copyfile(data / f"{name}.csv", folder / f"{made}.csv")
    return folder / "train.csv", folder / "scored.csv"


VAL = Split("val", _lists)
STUDIES = [
    Study(
        "quick",
        "Does the machinery work? The smallest networks on a few clips for two epochs: the numbers say nothing.",
        Data("moves_small", _moves),
        (VAL,),
        (
            *("--pretrained", "false", "--image_size", "32", "--num_segments", "4", "--epochs", "2"),
            *("--batch_size", "8", "--trainer.num_workers", "0"),
        ),
        (Arm("tsn", "tsn_test_resnet"), Arm("tsm", "tsm_test_resnet"), Arm("tin", "tin_test_resnet")),
        (0, 1),
        "tsm",
    )
]
