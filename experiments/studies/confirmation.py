"""Studies where nothing was tuned: other data, longer clips, another network. The recipe is that of UTD-MHAD."""

from __future__ import annotations

from pathlib import Path

from interlace.data.render import render
from studies import letters, utd
from studies.built_in import VAL
from studies.plan import Arm, Data, Study

NAMES = ("tsn", "tsm", "tin", "tin_released", "tin_paper")
SCRATCH = (*utd.RECIPE, *utd.USUAL)
FAR = 16
"""Frames, with which eight blocks that move by one frame do not carry one end of a clip to the other; they may still
meet in the middle."""


def _far(data: Path, runs: Path) -> Path:
    del data
    folder = runs / "data" / "long_range"
    return render(folder, classes="long_range", clips_per_class=100, val_clips_per_class=50, size=64)


def _arms() -> tuple[Arm, ...]:
    return tuple(arm for arm in utd.METHODS if arm.name in NAMES)


def _pretrained(arm: Arm) -> Arm:
    """On a MobileNetV2; its weights say what the last batch norms begin with."""
    arguments = {name: value for name, value in arm.model_args.items() if name != "zero_init_last"}
    return Arm(arm.name, arm.model.replace("resnet18", "mobilenetv2_100"), arguments)


STUDIES = [
    Study(
        f"letters_{split.name}",
        "Does it hold on lips, which say 26 letters?",
        letters.DATA,
        (split,),
        SCRATCH,
        _arms(),
        utd.FIVE,
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
        _arms(),
        utd.FIVE,
        "tsm",
    ),
    Study(
        "utd_16_frames",
        "Does it hold with 16 frames?",
        utd.DATA,
        (utd.TEST,),
        (*SCRATCH, "--num_segments", str(FAR)),
        _arms(),
        utd.FIVE,
        "tsm",
        order_dependent=utd.ORDER_DEPENDENT,
    ),
    Study(
        "utd_mobilenet",
        "Does it hold for a MobileNetV2 from ImageNet weights?",
        utd.DATA,
        (utd.TEST,),
        utd.FINE_TUNED,
        tuple(_pretrained(arm) for arm in _arms()),
        utd.FIVE,
        "tsm",
        "mobilenetv2_100_in1k.fp16.safetensors",
        utd.ORDER_DEPENDENT,
    ),
]
