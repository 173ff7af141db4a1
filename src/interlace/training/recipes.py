"""Published training settings, each a function that returns what it changes in `TrainConfig`.

Learning rates belong to the published number of clips an update, ``optim.base_batch_size``, and are scaled to
the real one. Every recipe is SGD with momentum 0.9, weight decay on weights only, and the released code's
rules for biases and the head, unless its docstring says otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

Overrides = dict[str, Any]


def small_dataset() -> Overrides:
    """Fine-tuning on some hundreds of clips of one's own: cosine, a little smoothing. Not published."""
    return {
        "epochs": 30,
        "lr": 0.01,
        "dropout": 0.5,
        "optim": {"base_batch_size": 16, "schedule": "cosine", "warmup_epochs": 1.0, "weight_decay": 5e-4},
        "loss": {"label_smoothing": 0.1},
    }


def tin_paper() -> Overrides:
    """TIN, the paper's section 4 (arXiv 2001.06499): offsets up to T/2 that start at 1, batch norm frozen.

    The paper starts from Kinetics weights, which a recipe cannot bring: give them with ``--pretrained PATH``.
    It names no batch size, no clipping and no warm-up; 48 clips is the batch of the released scripts.
    """
    return {
        "model": "tin_paper_resnet50",
        "num_segments": 8,
        "epochs": 25,
        "lr": 0.005,
        "dropout": 0.5,
        "optim": {**_steps(10, 20), "base_batch_size": 48, "clip_gradient": 0.0, "batch_norm": "frozen"},
    }


def tin_something_v1() -> Overrides:
    """TIN, the README of the released code: Something-Something V1 from ImageNet weights.

    Cosine by iteration after one epoch of warm-up from a tenth; 48 clips; partial batch norm; no mirroring.
    """
    return {
        "model": "tin_released_resnet50",
        "num_segments": 8,
        "epochs": 40,
        "lr": 0.02,
        "dropout": 0.8,
        "optim": {**_cosine(1.0), "base_batch_size": 48, "batch_norm": "partial"},
        "augment": {"flip": False},
    }


def tin_something_v1_tune() -> Overrides:
    """TIN, the README of the released code: tuning on Something-Something V1, three drops in 40 epochs."""
    drops = {**_steps(10, 20, 30), "warmup_epochs": 1.0, "base_batch_size": 48, "batch_norm": "partial"}
    return {**tin_something_v1(), "lr": 0.008, "optim": drops}


def tin_something_v1_script() -> Overrides:
    """TIN, train_tin.sh of the released code: as its README's tuning, but 36 epochs of a cosine."""
    return {**tin_something_v1(), "epochs": 36, "lr": 0.008}


def x_temporal_tin() -> Overrides:
    """TIN in X-Temporal: batch norm free, Nesterov, one learning rate for all parameters.

    Its cosine ends at epoch 30 of 35, here with the run. It decays biases too; here they have no decay.
    """
    optim = {"base_batch_size": 64, "nesterov": True, "bias_lr_factor": 1.0, "head_lr_factor": 1.0}
    return {**tin_something_v1(), "epochs": 35, "optim": {**_cosine(1.0), **optim}}


def mmaction2_tin() -> Overrides:
    """TIN in MMAction2, Something-Something V1 and V2: batch norm free, 8 devices with 6 clips."""
    return {**tin_something_v1(), "lr": 0.01, "optim": {**_cosine(1.0), "base_batch_size": 48}}


def tsm_kinetics400() -> Overrides:
    """TSM, the released code, Kinetics-400: 50 epochs, drops at 20 and 40, 128 clips, batch norm free."""
    return {
        "model": "tsm_resnet50",
        "num_segments": 8,
        "epochs": 50,
        "lr": 0.02,
        "dropout": 0.5,
        "optim": {**_steps(20, 40), "base_batch_size": 128, "weight_decay": 1e-4},
    }


def tsm_something() -> Overrides:
    """TSM, the released code, Something-Something V1 and V2 from ImageNet weights: 64 clips, no mirroring."""
    return {
        "model": "tsm_resnet50",
        "num_segments": 8,
        "epochs": 50,
        "lr": 0.01,
        "dropout": 0.5,
        "optim": {**_steps(20, 40), "base_batch_size": 64},
        "augment": {"flip": False},
    }


def tsm_ucf101_finetune() -> Overrides:
    """TSM, the released code: Kinetics weights tuned on UCF101, 64 clips, partial batch norm."""
    return {
        "model": "tsm_resnet50",
        "num_segments": 8,
        "epochs": 25,
        "lr": 0.001,
        "dropout": 0.8,
        "optim": {**_steps(10, 20), "base_batch_size": 64, "batch_norm": "partial"},
    }


def tsn_kinetics400() -> Overrides:
    """TSN with the settings of TSM's released code on Kinetics-400: trained on 5 segments, tested on 8."""
    return {**tsm_kinetics400(), "model": "tsn_resnet50", "num_segments": 5}


def mmaction2_tsm_kinetics400() -> Overrides:
    """TSM in MMAction2, Kinetics-400: five epochs of warm-up, drops at 25 and 45, 8 devices with 16 clips."""
    return {**tsm_kinetics400(), "optim": {**_mmaction2_tsm(), "weight_decay": 1e-4}}


def mmaction2_tsm_something_v2() -> Overrides:
    """TSM in MMAction2, Something-Something V2: as on Kinetics; mirrored, with left/right labels swapped."""
    return {**tsm_kinetics400(), "optim": _mmaction2_tsm()}


def trn_something() -> Overrides:
    """TRN, the released code's defaults, Something-Something: 120 epochs, drops at 50 and 100, partial batch norm.

    It mirrors clips, these too; here left/right labels swap, or mirroring is off.
    """
    return {
        "model": "trn_bninception",
        "num_segments": 8,
        "epochs": 120,
        "lr": 0.001,
        "dropout": 0.8,
        "optim": {**_steps(50, 100), "base_batch_size": 128, "batch_norm": "partial"},
    }


def mmaction2_trn_something() -> Overrides:
    """TRN in MMAction2, Something-Something V1 and V2: ResNet-50, 50 epochs, 8 devices with 16 clips; mirrored."""
    optim = {**_steps(30, 45), "base_batch_size": 128, "batch_norm": "partial"}
    return {**trn_something(), "model": "trn_resnet50", "epochs": 50, "lr": 0.002, "optim": optim}


def tsn_ucf101() -> Overrides:
    """TSN, the README of the released code: frames of UCF101, 3 segments, one rate for weights.

    With :func:`tsn_ucf101_flow` it makes the two-stream network: `interlace ensemble`, weights 1 and 1.5.
    """
    optim = {**_steps(30, 60), "base_batch_size": 128, "batch_norm": "partial", "head_lr_factor": 1.0}
    return {
        "model": "tsn_bninception",
        "num_segments": 3,
        "epochs": 80,
        "lr": 0.001,
        "dropout": 0.8,
        "optim": optim,
    }


def tsn_ucf101_flow() -> Overrides:
    """TSN, the README of the released code: optical flow of UCF101, 340 epochs, drops at 190 and 300."""
    optim = {**tsn_ucf101()["optim"], "step_epochs": (190.0, 300.0)}
    return {**tsn_ucf101(), "modality": "flow", "epochs": 340, "dropout": 0.7, "optim": optim}


def tsn_ucf101_rgb_diff() -> Overrides:
    """TSN, the README of the released code: frame differences of UCF101, 7 segments, gradients clipped at 40."""
    optim = {**tsn_ucf101()["optim"], "step_epochs": (80.0, 160.0), "clip_gradient": 40.0}
    return {**tsn_ucf101(), "modality": "rgb_diff", "num_segments": 7, "epochs": 180, "optim": optim}


def eco_lite_ucf101() -> Overrides:
    """ECO Lite, the released code on UCF101: 16 frames, Nesterov, 16 clips accumulated four times, clipped at 50.

    Its rate drops whenever validation stands still for 5 epochs; here it is half a cosine.
    """
    optim = {"base_batch_size": 64, "nesterov": True, "clip_gradient": 50.0, "head_lr_factor": 1.0}
    return {
        "model": "eco_lite_bninception",
        "num_segments": 16,
        "epochs": 40,
        "lr": 0.001,
        "batch_size": 16,
        "dropout": 0.3,
        "optim": {**_cosine(0.0), **optim, "accumulate": 4},
    }


def eco_ucf101() -> Overrides:
    """ECO Full, the released code on UCF101: as :func:`eco_lite_ucf101`, without dropout."""
    return {**eco_lite_ucf101(), "model": "eco_bninception", "dropout": 0.0}


def _cosine(warmup_epochs: float) -> Overrides:
    warmup = {"warmup_epochs": warmup_epochs, "warmup_factor": 0.1}
    return {
        "schedule": "cosine",
        **warmup,
        "weight_decay": 5e-4,
        "clip_gradient": 20.0,
        "batch_norm": "train",
    }


def _steps(*epochs: int) -> Overrides:
    """Drops to a tenth at these epochs, no warm-up."""
    drops = {
        "schedule": "steps",
        "step_epochs": tuple(map(float, epochs)),
        "step_factor": 0.1,
        "warmup_epochs": 0.0,
    }
    return {**drops, "weight_decay": 5e-4, "clip_gradient": 20.0, "batch_norm": "train"}


def _mmaction2_tsm() -> Overrides:
    return {**_steps(25, 45), "warmup_epochs": 5.0, "base_batch_size": 128}


RECIPES: dict[str, Callable[[], Overrides]] = {
    recipe.__name__: recipe
    for recipe in (
        small_dataset,
        tin_paper,
        tin_something_v1,
        tin_something_v1_tune,
        tin_something_v1_script,
        x_temporal_tin,
        mmaction2_tin,
        tsm_kinetics400,
        tsm_something,
        tsm_ucf101_finetune,
        tsn_kinetics400,
        mmaction2_tsm_kinetics400,
        mmaction2_tsm_something_v2,
        trn_something,
        mmaction2_trn_something,
        tsn_ucf101,
        tsn_ucf101_flow,
        tsn_ucf101_rgb_diff,
        eco_lite_ucf101,
        eco_ucf101,
    )
}


def recipe_overrides(name: str) -> Overrides:
    """What a recipe changes in `TrainConfig`, nested as the config is.

    Raises:
        ValueError: there is no such recipe; the message has the nearest name.

    Example:
        >>> from interlace.training.recipes import recipe_overrides
        >>> recipe_overrides("tin_something_v1")["lr"]
        0.02
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.0)
        raise ValueError(f"no recipe {name!r}; did you mean {near[0]!r}? There are {', '.join(RECIPES)}")
    return RECIPES[name]()


def apply_recipe(config: Any, name: str) -> Any:
    """A copy of a `TrainConfig` with a recipe's settings.

    Example:
        >>> from pathlib import Path
        >>> from interlace.training.config import TrainConfig
        >>> from interlace.training.recipes import apply_recipe
        >>> apply_recipe(TrainConfig(data=Path("clips")), "tsm_something").optim.step_epochs
        (20.0, 40.0)
    """
    import dataclasses

    changes = {
        key: value
        if key == "model_args" or not isinstance(value, dict)
        else dataclasses.replace(getattr(config, key), **value)
        for key, value in recipe_overrides(name).items()
    }
    return dataclasses.replace(config, **changes)
