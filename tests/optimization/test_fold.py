from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import interlace
from interlace.optimization.fold import fold_batch_norms
from interlace.optimization.fuse import ResidualBlock, fuse

T = 2


def trained(name: str, size: int = 32) -> tuple[nn.Module, torch.Tensor]:
    """A network in float64 whose batch norms and offsets are not those of the start, and two clips."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = interlace.create_model(name, num_classes=5, num_segments=T).double().eval()
        nn.init.normal_(model.head.weight)
        clips = torch.randn(2, T, 3, size, size, dtype=torch.float64)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.0)
                nn.init.normal_(module.bias, std=0.1)
    return model, clips


@pytest.mark.parametrize(
    "name",
    [
        "tin_resnet18",
        "tsm_resnet26",
        "tsn_resnet50d",
        "tin_seresnet50",
        "tin_regnetx_008",
        "tin_regnety_008",
        "tin_mobilenetv2_050",
        "tsm_mobilenetv3_small_100",
        "tin_efficientnet_b0",
        "tsn_tf_efficientnet_b0",
    ],
)
@torch.no_grad()
def test_every_batch_norm_is_folded_and_nothing_changes(name: str) -> None:
    model, clips = trained(name)
    wanted, weights = model(clips), copy.deepcopy(model.state_dict())
    folded = copy.deepcopy(model)
    num_norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert fold_batch_norms(folded.backbone) == num_norms > 0
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    fused = copy.deepcopy(folded)
    fuse(fused.backbone)
    scale = wanted.abs().max()
    torch.testing.assert_close(folded(clips) / scale, wanted / scale, atol=1e-10, rtol=0)
    torch.testing.assert_close(fused(clips) / scale, wanted / scale, atol=1e-10, rtol=0)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_what_has_no_batch_norm_stays() -> None:
    model, _ = trained("tin_convnext_atto")
    assert fold_batch_norms(model.backbone) == 0


def test_a_norm_after_something_else_stays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.BatchNorm2d(4)).eval()
    assert fold_batch_norms(network) == 0


def test_only_a_norm_of_as_many_dimensions_is_folded() -> None:
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.Conv3d(4, 4, 1), nn.ReLU()).eval()
    nn.init.normal_(network[1].running_mean)
    nn.init.uniform_(network[1].running_var, 0.5, 1.5)
    x = torch.randn(2, 3, 4, 5, 7)
    wanted = network(x)
    assert fold_batch_norms(network) == 1
    torch.testing.assert_close(network(x), wanted)
    assert fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm3d(4)).eval()) == 0


def test_a_norm_without_statistics_or_factors() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1, bias=False),
        nn.BatchNorm2d(4, affine=False),
        nn.Conv2d(4, 5, 1),
        nn.BatchNorm2d(5, track_running_stats=False),
    ).eval()
    nn.init.normal_(network[1].running_mean)
    x = torch.randn(2, 3, 5, 7)
    wanted = network(x)
    assert fold_batch_norms(network) == 1  # the other one is no constant
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("resnet18", 8), ("resnet50", 16), ("regnety_008", 14), ("mobilenetv2_100", 10), ("seresnet50", 0)],
)
def test_blocks_that_add_in_the_convolution(name: str, blocks: int) -> None:
    with torch.device("meta"):
        model = interlace.create_model(f"tin_{name}", num_classes=5).eval()
        fold_batch_norms(model.backbone)
        fuse(model.backbone)
    assert sum(isinstance(module, ResidualBlock) for module in model.modules()) == blocks
