"""Which batch norms learn, whoever switches modes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import interlace
from interlace.training.batch_norm import fix_batch_norms, fixed_batch_norms


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm1d(5), nn.BatchNorm2d(6), nn.BatchNorm3d(7)
    )


@pytest.mark.parametrize(("policy", "fixed"), [("train", []), ("partial", [3]), ("frozen", [1, 3])])
def test_fixed_ones_keep_mode_and_do_not_learn(policy, fixed):
    model = network()
    fix_batch_norms(model, policy)
    for number in (1, 2, 3, 4):
        assert model[number].training == (number not in fixed)
        assert model[number].weight.requires_grad == (number not in fixed)
    assert fixed_batch_norms(model, policy) == [model[number] for number in fixed]


def test_a_network_without_any():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(5), nn.BatchNorm3d(7))
    assert fixed_batch_norms(model, "train") == []
    for policy in ("partial", "frozen"):
        with pytest.raises(ValueError, match=f"optim.batch_norm={policy}: the network has no batch norm"):
            fix_batch_norms(model, policy)


def test_a_zero_scale_over_videos_still_learns():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm3d(3))
    nn.init.zeros_(model[1].weight)
    fix_batch_norms(model, "frozen")
    model[1](torch.randn(2, 3, 4, 5, 7)).mul(torch.randn(2, 3, 4, 5, 7)).sum().backward()
    assert model[1].weight.grad.abs().min() > 0


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("tsn_test_resnet", ["backbone.conv1.1"]),
        ("two_stream_tsn_test_resnet", ["rgb", "flow"]),
        ("i3d_light_resnet18", ["backbone"]),
    ],
)
def test_each_network_has_its_first_one(name, free):
    with torch.device("meta"):
        model = interlace.create_model(name, num_classes=5, num_segments=8)
    fixed = set(fixed_batch_norms(model, "partial"))
    everything = fixed_batch_norms(model, "frozen")
    assert len(everything) - len(fixed) == len(free)
    assert everything[0] not in fixed
    assert fixed <= set(everything)


def test_a_non_local_block_learns_under_every_policy():
    with torch.device("meta"):
        model = interlace.create_model("tsn_nl_resnet50", num_classes=5, num_segments=8)
    fixed = set(fixed_batch_norms(model, "frozen"))
    others = [norm for norm in model.modules() if isinstance(norm, nn.BatchNorm1d)]
    assert len(others) == 5
    assert not fixed & set(others)
