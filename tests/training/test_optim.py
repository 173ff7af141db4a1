"""Every parameter that learns has one rule; the schedule is the published one."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from timm.layers.grn import GlobalResponseNorm
from torch import nn

import interlace
from interlace.temporal import TemporalInterlace
from interlace.training.batch_norm import fix_batch_norms
from interlace.training.optim import learning_rate_factor, parameter_groups, scaled_learning_rate

MODELS = [
    "tin_resnet18",
    "tin_resnet50",
    "tin_resnet101",
    "tsm_resnet50",
    "tsn_resnet18",
    "tin_mobilenetv2_100",
    "tsn_convnext_tiny",
    "tsn_convnextv2_atto",
]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    with torch.device("meta"):  # shapes are enough
        return interlace.create_model(request.param, num_classes=5, num_segments=4)


def grouped(model: nn.Module, **changes) -> dict[str, list[nn.Parameter]]:
    groups = parameter_groups(model, lr=0.1, weight_decay=5e-4, **changes)
    return {group["name"]: group["params"] for group in groups}


def test_every_parameter_is_in_exactly_one_group(model):
    found = [id(parameter) for members in grouped(model).values() for parameter in members]
    assert len(found) == len(set(found))
    assert set(found) == {id(parameter) for parameter in model.parameters()}


def test_rules_by_kind_of_parameter(model):
    groups = {name: {id(p) for p in members} for name, members in grouped(model).items()}
    assert groups["head_weights"] == {id(model.head.weight)}
    assert groups["head_biases"] == {id(model.head.bias)}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm | GlobalResponseNorm):
            assert {id(module.weight), id(module.bias)} <= groups["norms"]
        elif isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear) and module is not model.head:
            assert id(module.weight) in groups["weights"]
            if module.bias is not None:
                assert id(module.bias) in groups["biases"]


def test_offset_and_weight_nets_have_the_rules_of_convolutions_and_linear_layers():
    groups = grouped(TemporalInterlace(16, num_segments=4))
    assert {name: len(members) for name, members in groups.items()} == {"weights": 4, "biases": 4}


def test_relations_learn_at_the_rate_of_all_else():
    with torch.device("meta"):
        groups = grouped(interlace.create_model("trn_resnet18", num_classes=5, num_segments=4))
    assert set(groups) == {"weights", "biases", "norms"}


def test_factors():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model.new = nn.Linear(4, 5)
    model.heads = lambda: [model.new]
    groups = parameter_groups(model, lr=0.1, weight_decay=0.25, bias_lr_factor=2.0, head_lr_factor=5.0)
    assert [(g["name"], g["lr"], g["weight_decay"]) for g in groups] == [
        ("weights", 0.1, 0.25),
        ("biases", 0.2, 0.0),
        ("norms", 0.1, 0.0),
        ("head_weights", 0.5, 0.25),
        ("head_biases", 1.0, 0.0),
    ]


def test_numbers_by_name():
    with torch.device("meta"):
        model = interlace.create_model("tin_resnet50", num_classes=5, num_segments=4)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (round(group["lr"], 9), group["weight_decay"])
        for group in parameter_groups(model, lr=0.01, weight_decay=5e-4)
        for parameter in group["params"]
    }
    assert {name: found[name] for name in PUBLISHED} == PUBLISHED


# name: (learning rate, weight decay), for 0.01 and 5e-4
INTERLACE = "backbone.layer3.2.conv1.temporal."
PUBLISHED = {
    "backbone.conv1.weight": (0.01, 5e-4),
    "backbone.bn1.weight": (0.01, 0.0),
    "backbone.bn1.bias": (0.01, 0.0),
    INTERLACE + "offset_net.fc2.weight": (0.01, 5e-4),
    INTERLACE + "offset_net.fc2.bias": (0.02, 0.0),
    INTERLACE + "weight_net.conv.weight": (0.01, 5e-4),
    INTERLACE + "weight_net.conv.bias": (0.02, 0.0),
    "head.weight": (0.05, 5e-4),
    "head.bias": (0.1, 0.0),
}


def test_frozen_parameters_are_in_no_group():
    with torch.device("meta"):
        model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4)
    fix_batch_norms(model, "partial")
    assert len(grouped(model)["norms"]) == 2
    fix_batch_norms(model, "frozen")
    assert "norms" not in grouped(model)
    model.head.requires_grad_(False)
    assert "head_weights" not in grouped(model)


def test_a_layer_scale_is_not_decayed():
    with torch.device("meta"):
        model = interlace.create_model("tsn_convnext_tiny", num_classes=5, num_segments=4)
    gammas = [p for name, p in model.named_parameters() if name.endswith(".gamma")]
    norms = {id(p) for p in grouped(model)["norms"]}
    assert len(gammas) == 18
    assert all(id(gamma) in norms for gamma in gammas)


def test_learning_rate_is_scaled_to_all_clips_of_an_update():
    assert scaled_learning_rate(0.02, 256, 128) == 0.04


def test_warm_up_then_cosine():
    factor = partial(
        learning_rate_factor, steps_per_epoch=10, epochs=40, warmup_epochs=1.0, warmup_factor=0.1
    )
    assert factor(0) == pytest.approx(0.1)
    assert factor(5) == pytest.approx(0.55)
    assert factor(10) == 1.0
    assert factor(205) == pytest.approx(0.5)  # half way between epoch 1 and 40
    assert factor(399) == pytest.approx(0.5 * (1 + math.cos(math.pi * 38.9 / 39)))
    assert factor(400) == pytest.approx(0.0)


def test_steps():
    factor = partial(
        learning_rate_factor,
        steps_per_epoch=4,
        epochs=50,
        schedule="steps",
        warmup_epochs=0.0,
        step_epochs=(20.0, 40.0),
    )
    assert [factor(step) for step in (0, 79, 80, 159, 160)] == [1, 1, 0.1, 0.1, pytest.approx(0.01)]


def test_warm_up_takes_half_the_run_at_most():
    factors = [
        learning_rate_factor(step, steps_per_epoch=4, epochs=1, warmup_epochs=5.0) for step in range(4)
    ]
    assert factors == [pytest.approx(0.1), pytest.approx(0.55), 1.0, pytest.approx(0.5)]


@pytest.mark.parametrize(
    ("name", "arguments", "firsts"),
    [
        ("tsn_convnext_atto", {"modality": "flow"}, 1),
        ("tsn_convnext_atto", {"modality": "rgb_diff"}, 0),
        ("tsn_convnext_atto", {}, 0),
        ("two_stream_tsn_convnext_atto", {}, 1),
    ],
)
def test_the_first_convolution_over_flow_learns_faster(name, arguments, firsts):
    """TSN as released: 5 and 10 times ("Flow 5/10")."""
    with torch.device("meta"):
        model = interlace.create_model(name, num_classes=5, num_segments=4, **arguments)
    groups = parameter_groups(model, lr=0.01, weight_decay=5e-4)
    found = {group["name"]: group for group in groups if group["name"].startswith("first_")}
    assert len(found) == 2 * firsts
    if firsts:
        assert (found["first_weights"]["lr"], found["first_weights"]["weight_decay"]) == (0.05, 5e-4)
        assert (found["first_biases"]["lr"], found["first_biases"]["weight_decay"]) == (0.1, 0.0)
        assert [tuple(p.shape[:2]) for p in found["first_weights"]["params"]] == [(40, 10)]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
