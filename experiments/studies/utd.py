"""Studies on UTD-MHAD depth video: ResNet-18 from scratch, 8 frames of 64 x 64, cross-subject."""

from __future__ import annotations

import csv
from pathlib import Path

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
    Arm("tsn", "tsn_resnet18"),
    Arm("tsm", "tsm_resnet18"),
    Arm("tcn", "tcn_resnet18"),
    Arm("rtcn", "rtcn_resnet18"),
    Arm("tin_released", "tin_resnet18"),
    Arm("tin_paper", "tin_resnet18", {"offset_range": 4.0, "initial_offset": 1.0}),
)
GRID = tuple((lr, decay, 30) for lr in (0.005, 0.01, 0.02, 0.04) for decay in (5e-4, 5e-3))


def _tuned(arm: Arm) -> list[Arm]:
    return [
        Arm(
            f"{arm.name}_lr{lr}_wd{decay}_e{epochs}",
            arm.model,
            arm.model_args,
            recipe(lr=lr, weight_decay=decay, epochs=epochs),
        )
        for lr, decay, epochs in GRID
    ]


STUDIES = [
    Study(
        "utd_tuning",
        "Which learning rate, weight decay and length suit each method? Chosen on subject 7, trained on 1, 3, 5.",
        DATA,
        (VAL,),
        RECIPE,
        tuple(arm for method in METHODS for arm in _tuned(method)),
        (0,),
        "tsm_lr0.01_wd0.0005_e30",
    )
]
