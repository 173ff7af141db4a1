"""Studies of other data, longer clips, another network, for which no form of TIN was chosen.

The recipe is that of UTD-MHAD, untuned, for talkers whom no clip of the training shows twice as long; the long-range
classes have a rate and a length of their own, of trials with TIN.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from interlace.data.render import render
from studies import letters, utd
from studies.built_in import VAL
from studies.plan import Arm, Data, Study

NAMES = ("tsn", "tsm", "tin", "tin_released", "tin_paper")
SCRATCH = (*utd.RECIPE, *utd.USUAL)
LONGER = (*utd.RECIPE, *utd.recipe(lr=0.01, weight_decay=5e-4, epochs=60))
"""Twice as many epochs: on lips thirty end in the steep part of the loss, where what is seen is how soon a network
began to learn. Seen with TSM and TIN on the third repetition; no talker had been scored yet."""
LONG = 16
"""Frames, twice as many as elsewhere."""
PAUSES = (0.16, 0.34, 0.5)
"""Of 8 frames one or two, two or three, or half show nothing, between what decides and what is decided."""
SMALL_UNTUNED = (
    *("--pretrained", "false", "--color", "gray", "--image_size", "32", "--augment.crop", "center"),
    *("--trainer.precision", "bf16", "--decode.cache", "ram", "--trainer.num_workers", "0"),
    *("--optim.head_lr_factor", "1"),
)
SMALL = (*SMALL_UNTUNED, *utd.recipe(lr=0.02, weight_decay=5e-4, epochs=20, batch=8))
"""For a ResNet of four blocks, with the rate of the trials that showed how long a pause is learned at all. Twenty
epochs: nothing is learned for some, then all of it within two or three; with ten, TIN had done so with one seed of
three, TSM with none of four."""


def _far(pause: float, data: Path, runs: Path) -> Path:
    del data
    return render(
        runs / "data" / f"long_range_{pause}",
        classes="long_range",
        clips_per_class=500,
        val_clips_per_class=100,
        size=64,
        pause=pause,
    )


def _arms() -> tuple[Arm, ...]:
    return tuple(arm for arm in utd.METHODS if arm.name in NAMES)


def _small(*more: Arm) -> tuple[Arm, ...]:
    """On a ResNet of four blocks, which a core trains in five minutes."""
    further = (arm for arm in utd.METHODS if arm.name in ("tcn", "rtcn"))
    arms = (*_arms(), *further, utd.FOUR_STARTS, utd.ONE_AND_THREE, utd.TWO_AND_FOUR, *more)
    return tuple(Arm(arm.name, arm.model.replace("resnet18", "test_resnet"), arm.model_args) for arm in arms)


def _otherwise() -> tuple[Arm, ...]:
    """TSM and TIN, slower, faster and for longer than in the studies of pauses."""
    return tuple(
        Arm(
            f"{arm.name}_lr{lr}_e{epochs}",
            arm.model,
            arm.model_args,
            utd.recipe(lr=lr, weight_decay=5e-4, epochs=epochs, batch=8),
        )
        for lr, epochs in ((0.02, 20), (0.01, 20), (0.05, 20), (0.02, 40))
        for arm in _small()
        if arm.name in ("tsm", "tin")
    )


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
        options,
        _arms(),
        utd.FIVE,
        "tsm",
    )
    for split, options in ((letters.REPETITIONS, SCRATCH), (letters.TALKERS, LONGER))
]
STUDIES += [
    Study(
        f"long_range_{pause}",
        f"Does it hold where what happens before a pause of {pause} of the clip decides what is after it?",
        Data(f"long_range_{pause}", partial(_far, pause)),
        (VAL,),
        SMALL,
        _small(),
        utd.FIVE,
        "tsm",
    )
    for pause in PAUSES
]
STUDIES += [
    Study(
        "long_range_tuning",
        "Is it the rate or the length of training that keeps TSM from learning what lies beyond a pause?",
        Data("long_range_0.34", partial(_far, 0.34)),
        (VAL,),
        SMALL_UNTUNED,
        _otherwise(),
        (0, 1, 2),
        "tsm_lr0.02_e20",
    ),
    Study(
        "long_range_16_frames",
        "And where no frame of four blocks that each see a frame further reaches both sides of the pause?",
        Data("long_range_0.5", partial(_far, 0.5)),
        (VAL,),
        (*SMALL, "--num_segments", str(LONG)),
        _small(utd.EVERY_SECOND),
        utd.FIVE,
        "tsm",
    ),
    Study(
        "utd_16_frames",
        "Does it hold with 16 frames?",
        utd.DATA,
        (utd.TEST,),
        (*SCRATCH, "--num_segments", str(LONG)),
        _arms(),
        utd.FIVE,
        "tsm",
        order_dependent=utd.ORDER_DEPENDENT,
    ),
    Study(
        "utd_16_frames_tuned",
        "And with 16 frames where each method has the rate and decay that were best for it with 8?",
        utd.DATA,
        (utd.TEST,),
        (*utd.RECIPE, "--num_segments", str(LONG)),
        tuple(utd.at_point(arm, utd.TUNED[arm.name]) for arm in _arms()),
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
