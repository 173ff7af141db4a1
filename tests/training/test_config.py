"""Settings that cannot work are refused before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.training.config import (
    AugmentConfig,
    DecodeConfig,
    LossConfig,
    OptimConfig,
    TrainConfig,
    TrainerConfig,
)

# A part of the settings, its prefix, and values of its fields: (refused, allowed, the range in words)
RANGES = [
    *(
        (TrainConfig, "", name, (0, -2), (1,), "1 or more")
        for name in ("batch_size", "epochs", "num_segments", "frame_stride")
    ),
    (TrainConfig, "", "image_size", (15,), (16,), "16 or more"),
    (TrainConfig, "", "lr", (0.0, -0.1, float("nan"), float("inf")), (1e-9,), "above 0"),
    (TrainConfig, "", "dropout", (-0.1, 1.0), (0.0, 0.99), "0 or more and below 1"),
    (TrainConfig, "", "val_fraction", (0.0, 1.0), (0.01, 0.99), "above 0 and below 1"),
    (AugmentConfig, "augment.", "crop_scales", ((1.0, 0.0), (1.1,)), ((1.0, 0.1),), "above 0 and up to 1"),
    (AugmentConfig, "augment.", "crop_area", ((0.0, 1.0), (0.5, 2.0)), ((0.5, 0.5),), "above 0 and up to 1"),
    *(
        (AugmentConfig, "augment.", name, (-0.1,), (0.0, 2.0), "0 or more")
        for name in ("color_jitter", "mixup", "cutmix")
    ),
    *((OptimConfig, "optim.", name, (0,), (1,), "1 or more") for name in ("base_batch_size", "accumulate")),
    (OptimConfig, "optim.", "momentum", (-0.1, 1.0), (0.0, 0.99), "0 or more and below 1"),
    *(
        (OptimConfig, "optim.", name, (-0.1,), (0.0, 2.0), "0 or more")
        for name in ("weight_decay", "warmup_epochs", "clip_gradient", "bias_lr_factor", "head_lr_factor")
    ),
    (OptimConfig, "optim.", "step_epochs", ((-1.0,),), ((), (0.5,)), "0 or more"),
    (OptimConfig, "optim.", "warmup_factor", (-0.1, 1.1), (0.0, 1.0), "from 0 to 1"),
    (OptimConfig, "optim.", "step_factor", (0.0, 1.1), (0.1, 1.0), "above 0 and up to 1"),
    (LossConfig, "loss.", "label_smoothing", (-0.1, 1.0), (0.0, 0.99), "0 or more and below 1"),
    *(
        (TrainerConfig, "trainer.", name, (0,), (1,), "1 or more")
        for name in ("devices", "num_nodes", "validate_every")
    ),
    *(
        (TrainerConfig, "trainer.", name, (-1,), (0, 3), "0 or more")
        for name in ("num_workers", "early_stopping")
    ),
    (TrainerConfig, "trainer.", "checkpoint_minutes", (-0.5,), (0.0, 1e-6), "0 or more"),
    (TrainerConfig, "trainer.", "ema_decay", (-0.1, 1.0), (0.0, 0.999), "0 or more and below 1"),
    (DecodeConfig, "decode.", "short_side", (-1,), (0, 256), "0 or more"),
    (DecodeConfig, "decode.", "cache_gigabytes", (0.0, -1.0), (0.5,), "above 0"),
    (TrainerConfig, "trainer.", "max_steps", (-2, 0), (-1, 1), "-1, or 1 or more"),
]


@pytest.mark.parametrize(("part", "prefix", "field", "refused", "allowed", "words"), RANGES)
def test_ranges(part, prefix, field, refused, allowed, words):
    needed = {"data": Path("clips")} if part is TrainConfig else {}
    for value in refused:
        with pytest.raises(ValueError) as caught:
            part(**needed, **{field: value})
        assert str(caught.value) == f"{prefix}{field}={value} must be {words}"
    for value in allowed:
        assert getattr(part(**needed, **{field: value}), field) == value


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        (
            OptimConfig,
            {"schedule": "steps"},
            r"optim\.schedule=steps needs optim\.step_epochs, e\.g\. \[20, 40\]",
        ),
        (
            OptimConfig,
            {"nesterov": True, "momentum": 0.0},
            r"optim\.nesterov=True needs optim\.momentum above 0",
        ),
        (AugmentConfig, {"crop_scales": ()}, r"augment\.crop_scales=\(\) must hold a number or more"),
        (AugmentConfig, {"crop_area": (0.9, 0.5)}, r"augment\.crop_area=.*: the smaller number comes first"),
    ],
)
def test_settings_that_need_each_other(part, values, message):
    with pytest.raises(ValueError, match=message):
        part(**values)
