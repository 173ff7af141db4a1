from __future__ import annotations

from functools import partial

import pytest
import timm
import torch
from torch import nn

from interlace.models import insert_before_blocks, insert_in_branches
from interlace.models.backbone import TemporalConv2d, temporal_keys
from interlace.temporal import TemporalInterlace, TemporalShift

SHIFT = partial(TemporalShift, num_segments=4)


def places(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, TemporalConv2d)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", [f"layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(2)]),
        (
            "resnext50_32x4d",
            [f"layer{s}.{b}.conv1" for s, blocks in enumerate((3, 4, 6, 3), 1) for b in range(blocks)],
        ),
        (
            "mobilenetv2_100",  # the 10 blocks of the published TSM
            [f"blocks.{s}.{b}.conv_pw" for s, b in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]]
            + [f"blocks.{s}.{b}.conv_pw" for s, b in [(4, 1), (4, 2), (5, 1), (5, 2)]],
        ),
        (
            "mobilenetv3_large_100",  # its first block has no expansion, and a residual branch
            ["blocks.0.0.conv_dw", "blocks.1.1.conv_pw", "blocks.2.1.conv_pw", "blocks.2.2.conv_pw"]
            + [f"blocks.{s}.{b}.conv_pw" for s, b in [(3, 1), (3, 2), (3, 3), (4, 1), (5, 1), (5, 2)]],
        ),
        (
            "regnety_016",
            [f"s{s}.b{b}.conv1.conv" for s, n in enumerate((2, 6, 17, 2), 1) for b in range(1, n + 1)],
        ),
        (
            "convnext_tiny",
            [f"stages.{s}.blocks.{b}.conv_dw" for s, n in enumerate((3, 3, 9, 3)) for b in range(n)],
        ),
    ],
)
def test_the_places(name, expected):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
        insert_in_branches(network, SHIFT)
    assert places(network) == expected


def test_the_module_sees_the_input_of_the_branch_only():
    network = timm.create_model("resnet18", num_classes=0).eval()
    block = network.layer1[0]
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(network.state_dict())
    insert_in_branches(network, lambda _: nn.ReLU())
    x = torch.randn(2, 64, 5, 7)
    reference = plain.layer1[0]
    branch = reference.bn2(reference.conv2(reference.act1(reference.bn1(reference.conv1(x.relu())))))
    torch.testing.assert_close(block(x), (branch + x).relu())


def test_in_place_the_identity_path_is_mixed_too():
    network = timm.create_model("resnet18", num_classes=0).eval()
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(network.state_dict())
    shift = TemporalShift(64, num_segments=4)
    insert_before_blocks(network, SHIFT)
    assert list(dict(network.layer1.named_children())) == ["temporal0", "0", "temporal1", "1"]
    x = torch.randn(4, 64, 5, 7)
    wanted = plain.layer1[1](shift(plain.layer1[0](shift(x))))
    torch.testing.assert_close(network.layer1(x), wanted)


def test_every_second_block_and_two_convolutions():
    network = timm.create_model("resnet26", num_classes=0)
    insert_in_branches(network, SHIFT, num_convs=2, every=2)
    assert places(network) == [f"layer{s}.0.conv{c}" for s in range(1, 5) for c in (1, 2)]


@pytest.mark.parametrize("insert", [insert_in_branches, insert_before_blocks])
def test_names_of_weights_stay_those_of_the_plain_network(insert):
    plain = timm.create_model("resnet18", num_classes=0)
    shifted = timm.create_model("resnet18", num_classes=0)
    insert(shifted, SHIFT)
    assert shifted.state_dict().keys() == plain.state_dict().keys()
    interlaced = timm.create_model("resnet18", num_classes=0)
    insert(interlaced, partial(TemporalInterlace, num_segments=4))
    own = temporal_keys(interlaced)
    assert interlaced.state_dict().keys() - plain.state_dict().keys() == own
    assert len(own) == 8 * 8


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnetv2_50"])
@pytest.mark.parametrize("insert", [insert_in_branches, insert_before_blocks])
def test_an_unsupported_network_is_named(name, insert):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    with pytest.raises(ValueError, match=f"{name} has no residual blocks .* supported are ResNet"):
        insert(network, SHIFT)


def test_in_place_needs_stages_that_are_sequences():
    with pytest.raises(ValueError, match="RegStage is not a sequence"):
        insert_before_blocks(timm.create_model("regnetx_002", num_classes=0), SHIFT)


def test_a_part_that_mixes_nothing_changes_nothing():
    network = timm.create_model("mobilenetv2_050", num_classes=0, pad_type="same").eval()
    x = torch.randn(4, 3, 33, 35)
    before = network(x)
    insert_in_branches(network, lambda _: nn.Identity())
    assert torch.equal(network(x), before)
