"""Studies where nothing was tuned: other data, longer clips, another network. The recipe is that of UTD-MHAD."""

from __future__ import annotations

from pathlib import Path

from interlace.data.render import render
from studies import letters, utd
from studies.built_in import VAL
from studies.plan import Arm, Data, Study

FIVE = (0, 1, 2, 3, 4)
NAMES = ("tsn", "tsm", "tin_released", "tin_paper")
SCRATCH = (*utd.RECIPE, *utd.recipe(lr=0.005, weight_decay=5e-4, epochs=30))
FAR = 16
"""Frames, with which the two ends of a clip are further apart than eight blocks of one frame either way reach."""


def _far(data: Path, runs: Path) -> Path:
    del data
    folder = runs / "data" / "long_range"
    return render(folder, classes="long_range", clips_per_class=100, val_clips_per_class=50, size=64)


def _arms(num_segments: int = 8) -> tuple[Arm, ...]:
    reach = {"tin_paper": {"offset_range": num_segments / 2}}
    return tuple(
        Arm(arm.name, arm.model, {**arm.model_args, **reach.get(arm.name, {})})
        for arm in utd.METHODS
        if arm.name in NAMES
    )


STUDIES = [
    Study(
        f"letters_{split.name}",
        "Does it hold on lips, which say 26 letters?",
        letters.DATA,
        (split,),
        SCRATCH,
        _arms(),
        FIVE,
        "tsm",
    )
    for split in (letters.REPETITIONS, letters.TALKERS)
] + [
    Study(
        "long_range",
        "Does it hold where the first and the last of 16 frames decide together?",
        Data("long_range", _far),
        (VAL,),
        (*SCRATCH, "--num_segments", str(FAR)),
        _arms(FAR),
        FIVE,
        "tsm",
    ),
    Study(
        "utd_16_frames",
        "Does it hold with 16 frames?",
        utd.DATA,
        (utd.TEST,),
        (*SCRATCH, "--num_segments", str(FAR)),
        _arms(FAR),
        FIVE,
        "tsm",
    ),
]
