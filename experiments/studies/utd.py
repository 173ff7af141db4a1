"""Studies on UTD-MHAD depth video: ResNet-18 from scratch, 8 frames of 64 x 64, cross-subject."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import load_example
from studies.plan import Arm, Split, Study, given

DATA = given("utd_mhad_depth")
RECIPE = (
    *(
        "--pretrained",
        "false",
        "--color",
        "gray",
        "--image_size",
        "64",
        "--augment.crop_scales",
        "[1.0, 0.875]",
    ),
    *("--batch_size", "8", "--optim.base_batch_size", "8", "--optim.head_lr_factor", "1", "--dropout", "0.2"),
    *("--trainer.precision", "bf16", "--decode.cache", "ram", "--trainer.num_workers", "1"),
)
WHOLE = {"zero_init_last": False}
"""Residual branches, in which all of these methods work, take part from the first step on."""
FIVE = (0, 1, 2, 3, 4)


def _lists(data: Path, folder: Path, *, train: tuple[int, ...], scored: tuple[int, ...]) -> tuple[Path, Path]:
    splits = load_example("utd_mhad_splits")
    clips = sorted(path for path in data.glob("a*/*.mp4") if splits.CLIP.fullmatch(path.name))
    files = []
    for name, subjects in (("train", train), ("scored", scored)):
        chosen = [clip for clip in clips if int(splits.CLIP.fullmatch(clip.name)[2]) in subjects]
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["path", "label"])
            rows.writerows([clip.relative_to(data).as_posix(), clip.parent.name] for clip in chosen)
        files.append(folder / f"{name}.csv")
    return files[0], files[1]


def split_of(name: str, train: tuple[int, ...], scored: tuple[int, ...]) -> Split:
    """Some subjects train, others are scored."""
    return Split(name, lambda data, folder: _lists(data, folder, train=train, scored=scored))


TEST = split_of("test", (1, 3, 5, 7), (2, 4, 6, 8))
VAL = split_of("val7", (1, 3, 5), (7,))
FOLDS = (
    split_of("val1", (3, 5, 7), (1,)),
    split_of("val3", (1, 5, 7), (3,)),
    split_of("val5", (1, 3, 7), (5,)),
    VAL,
)
"""Each training subject once: what is searched for is chosen here, never on the test subjects."""


def recipe(*, lr: float, weight_decay: float, epochs: int) -> tuple[str, ...]:
    """What is tuned for each method, as options."""
    return ("--lr", str(lr), "--optim.weight_decay", str(weight_decay), "--epochs", str(epochs))


METHODS = (
    Arm("tsn", "tsn_resnet18", WHOLE),
    Arm("tsm", "tsm_resnet18", WHOLE),
    Arm("tcn", "tcn_resnet18", WHOLE),
    Arm("rtcn", "rtcn_resnet18", WHOLE),
    Arm("tin_released", "tin_resnet18", WHOLE),
    Arm("tin_paper", "tin_resnet18", {**WHOLE, "offset_range": 4.0, "initial_offset": 1.0}),
)
GRID = (
    (0.005, 5e-4, 30),
    (0.01, 5e-4, 30),
    (0.0025, 5e-4, 30),
    (0.005, 5e-3, 30),
    (0.005, 5e-4, 45),
)
"""Learning rate, weight decay, epochs: the same for each method."""


def tuning(methods: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Each method with each point of the grid."""
    return tuple(
        replace(
            arm,
            name=f"{arm.name}_lr{lr}_wd{decay}_e{epochs}",
            options=recipe(lr=lr, weight_decay=decay, epochs=epochs),
        )
        for lr, decay, epochs in GRID
        for arm in methods
    )


def form(name: str, **parts: Any) -> Arm:
    """One lever moved, from TIN that begins as a shift."""
    return Arm(
        name, "form_resnet18", {**WHOLE, "parts": parts}, recipe(lr=0.005, weight_decay=5e-4, epochs=30)
    )


LEVERS = (
    Arm("tsm", "tsm_resnet18", WHOLE, recipe(lr=0.005, weight_decay=5e-4, epochs=30)),
    form("start_1"),
    form("start_0.5", start=[0.5, 0.5]),
    form("start_spread", start=[0.5, 1.5]),
    form("start_1_2", start=[1.0, 2.0], offset_range=3.0),
    form("range_4", offset_range=4.0),
    form("per_frame", per="frame", zero=True),
    form("per_frame_random", per="frame"),
    form("static", per="static"),
    form("fixed", per="fixed"),
    form("zero_last", zero=True),
    form("add", squash="add", zero=True),
    form("rounded", rounding=True),
    form("one_group", start=[1.0]),
    form("four_groups", start=[1.0, 1.0, 1.0, 1.0]),
    form("half_of_channels", shift_div=2),
    form("eighth_of_channels", shift_div=8),
    form("unweighted", weights="none"),
    form("slow_offsets", lr_factor=0.1),
    form("fast_offsets", lr_factor=10.0),
    form("normalised", norm=True),
    form("max_pooled", pool="max"),
    form("half_exact", exact=True, start=[1.0]),
)

STUDIES = [
    Study(
        "utd_tuning",
        "Which learning rate, weight decay and length suit each method? Chosen on subject 7, trained on 1, 3, 5.",
        DATA,
        (VAL,),
        RECIPE,
        tuning(METHODS),
        (0,),
        "tsm_lr0.005_wd0.0005_e30",
    ),
    Study(
        "utd_levers",
        "What does each lever do, moved alone? Each training subject is scored once, trained on the three others.",
        DATA,
        FOLDS,
        RECIPE,
        LEVERS,
        (0,),
        "tsm",
    ),
]
