"""Recipes hold the published numbers and fit the settings."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import torch

from interlace.models import create_model
from interlace.training.config import TrainConfig
from interlace.training.parts import clips_per_update, network_arguments
from interlace.training.recipes import RECIPES, apply_recipe, recipe_overrides

# name: (lr, batch, epochs, weight decay, dropout, clip, batch norm, schedule, drops, warm-up, flip)
PUBLISHED = {
    "tin_paper": (0.005, 48, 25, 5e-4, 0.5, 0.0, "frozen", "steps", (10, 20), 0.0, True),
    "tin_something_v1": (0.02, 48, 40, 5e-4, 0.8, 20.0, "partial", "cosine", (), 1.0, False),
    "tin_something_v1_tune": (0.008, 48, 40, 5e-4, 0.8, 20.0, "partial", "steps", (10, 20, 30), 1.0, False),
    "tin_something_v1_script": (0.008, 48, 36, 5e-4, 0.8, 20.0, "partial", "cosine", (), 1.0, False),
    "x_temporal_tin": (0.02, 64, 35, 5e-4, 0.8, 20.0, "train", "cosine", (), 1.0, False),
    "mmaction2_tin": (0.01, 48, 40, 5e-4, 0.8, 20.0, "train", "cosine", (), 1.0, False),
    "tsm_kinetics400": (0.02, 128, 50, 1e-4, 0.5, 20.0, "train", "steps", (20, 40), 0.0, True),
    "tsm_something": (0.01, 64, 50, 5e-4, 0.5, 20.0, "train", "steps", (20, 40), 0.0, False),
    "tsm_ucf101_finetune": (0.001, 64, 25, 5e-4, 0.8, 20.0, "partial", "steps", (10, 20), 0.0, True),
    "tsn_kinetics400": (0.02, 128, 50, 1e-4, 0.5, 20.0, "train", "steps", (20, 40), 0.0, True),
    "mmaction2_tsm_kinetics400": (0.02, 128, 50, 1e-4, 0.5, 20.0, "train", "steps", (25, 45), 5.0, True),
    "mmaction2_tsm_something_v2": (0.02, 128, 50, 5e-4, 0.5, 20.0, "train", "steps", (25, 45), 5.0, True),
    "trn_something": (0.001, 128, 120, 5e-4, 0.8, 20.0, "partial", "steps", (50, 100), 0.0, True),
    "mmaction2_trn_something": (0.002, 128, 50, 5e-4, 0.8, 20.0, "partial", "steps", (30, 45), 0.0, True),
    "tsn_ucf101": (0.001, 128, 80, 5e-4, 0.8, 20.0, "partial", "steps", (30, 60), 0.0, True),
    "tsn_ucf101_flow": (0.001, 128, 340, 5e-4, 0.7, 20.0, "partial", "steps", (190, 300), 0.0, True),
    "tsn_ucf101_rgb_diff": (0.001, 128, 180, 5e-4, 0.8, 40.0, "partial", "steps", (80, 160), 0.0, True),
    "eco_lite_ucf101": (0.001, 64, 40, 5e-4, 0.3, 50.0, "train", "cosine", (), 0.0, True),
    "eco_ucf101": (0.001, 64, 40, 5e-4, 0.0, 50.0, "train", "cosine", (), 0.0, True),
}

# name: (segments, Nesterov, factor of biases, factor of the head, start of the warm-up, model_args), if not usual
DETAILS = {
    "tin_paper": (8, False, 2.0, 5.0, 0.1, {}),
    "x_temporal_tin": (8, True, 1.0, 1.0, 0.1, {}),
    "tsn_kinetics400": (5, False, 2.0, 5.0, 0.1, {}),
    "tsn_ucf101": (3, False, 2.0, 1.0, 0.1, {}),
    "tsn_ucf101_flow": (3, False, 2.0, 1.0, 0.1, {}),
    "tsn_ucf101_rgb_diff": (7, False, 2.0, 1.0, 0.1, {}),
    "eco_lite_ucf101": (16, True, 2.0, 1.0, 0.1, {}),
    "eco_ucf101": (16, True, 2.0, 1.0, 0.1, {}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name):
    config = apply_recipe(TrainConfig(data=Path("clips")), name)
    optim = config.optim
    assert PUBLISHED[name] == (
        config.lr,
        optim.base_batch_size,
        config.epochs,
        optim.weight_decay,
        config.dropout,
        optim.clip_gradient,
        optim.batch_norm,
        optim.schedule,
        optim.step_epochs,
        optim.warmup_epochs,
        config.augment.flip,
    )
    assert optim.momentum == 0.9


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_details(name):
    config = apply_recipe(TrainConfig(data=Path("clips")), name)
    optim = config.optim
    assert DETAILS.get(name, (8, False, 2.0, 5.0, 0.1, {})) == (
        config.num_segments,
        optim.nesterov,
        optim.bias_lr_factor,
        optim.head_lr_factor,
        optim.warmup_factor,
        config.model_args,
    )


@pytest.mark.parametrize("name", RECIPES)
def test_only_fields_that_exist(name):
    config = TrainConfig(data=Path("clips"))
    names = {field.name for field in fields(config)}
    for key, value in recipe_overrides(name).items():
        assert key in names
        if is_dataclass(part := getattr(config, key)):
            assert set(value) <= {field.name for field in fields(part)}
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_can_be_built_and_sees_what_the_recipe_says(name):
    config = apply_recipe(TrainConfig(data=Path("clips")), name)
    with torch.device("meta"):
        model = create_model(config.model, **network_arguments(config, num_classes=3))
    assert model.num_segments == config.num_segments or config.num_segments is None
    assert model.modality == {"tsn_ucf101_flow": "flow", "tsn_ucf101_rgb_diff": "rgb_diff"}.get(name, "rgb")
    assert clips_per_update(config, 10_000) == config.batch_size * (4 if name.startswith("eco") else 1)


def test_all_but_the_default_are_published():
    assert set(RECIPES) - set(PUBLISHED) == {"small_dataset"}


def test_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'tin_something_v1'"):
        recipe_overrides("tin_something1")
