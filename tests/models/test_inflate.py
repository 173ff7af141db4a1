"""Inflation: what a clip of one repeated picture gives is what the picture gives."""

from __future__ import annotations

import inspect

import pytest
import timm
import torch
from torch import nn

from interlace.models.first_conv import DifferenceConv2d
from interlace.models.inflate import DifferenceConv3d, InflatedBatchNorm3d, inflate, inflate_weight

B, C, T, H, W = 2, 3, 6, 9, 7


def test_weights_are_repeated_and_divided():
    weight = torch.randn(4, C, 3, 2)
    inflated = inflate_weight(weight, 5)
    assert inflated.shape == (4, C, 5, 3, 2)
    torch.testing.assert_close(inflated.sum(2), weight)
    assert torch.equal(inflated[:, :, 0], inflated[:, :, 4])


@pytest.mark.parametrize("span", [1, 3, 5])
def test_convolution_of_a_still_clip(span):
    """Equal away from the ends; there, the frames beyond the clip are zero."""
    network = nn.Sequential(nn.Conv2d(C, 4, 3, stride=2, padding=1, dilation=2)).double()
    picture = torch.randn(B, C, H, W, dtype=torch.float64)
    wanted = network(picture)
    inflate(network, spans={"0": span})
    out = network(picture.unsqueeze(2).expand(-1, -1, T, -1, -1))
    edge = span // 2
    assert out.shape[2] == T
    for t in range(edge, T - edge):
        torch.testing.assert_close(out[:, :, t], wanted)
    bias = network[0].bias.view(1, -1, 1, 1)
    for t in range(edge):
        share = (span - edge + t) / span
        torch.testing.assert_close(out[:, :, t], (wanted - bias) * share + bias)


def test_pools_look_at_one_frame():
    network = nn.Sequential(
        nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1, ceil_mode=True, count_include_pad=False)
    )
    clip = torch.randn(B, C, T, H, W)
    wanted = torch.stack([network(clip[:, :, t]) for t in range(0, T, 2)], 2)
    inflate(network, strides={"0": 2})
    assert torch.equal(network(clip), wanted)


def test_batch_norm_keeps_all_it_has():
    norm = nn.BatchNorm2d(C, eps=1e-3, momentum=0.3).train()
    norm(torch.randn(B, C, H, W))
    nn.init.normal_(norm.weight)
    network = nn.Sequential(norm).eval()
    clip = torch.randn(B, C, T, H, W)
    wanted = torch.stack([norm(clip[:, :, t]) for t in range(T)], 2)
    inflate(network)
    assert type(network[0]) is InflatedBatchNorm3d
    assert (network[0].eps, network[0].momentum, network[0].training) == (1e-3, 0.3, False)
    assert network[0].num_batches_tracked == 1
    torch.testing.assert_close(network(clip), wanted)


@pytest.mark.parametrize("name", ["resnet18", "resnet26d"])
def test_a_network_keeps_its_names_and_its_output(name):
    network = timm.create_model(name, num_classes=0, zero_init_last=False).double().eval()
    picture = torch.randn(B, 3, 32, 33, dtype=torch.float64)
    wanted, names = network(picture), list(network.state_dict())
    inflate(network)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(picture.unsqueeze(2).expand(-1, -1, 3, -1, -1)), wanted)


def test_differences_are_taken_in_every_frame():
    conv = DifferenceConv2d(nn.Conv2d(5 * C, 4, 3, padding=1), C)
    network = nn.Sequential(conv)
    clip = torch.randn(B, 6 * C, T, H, W)
    wanted = torch.stack([conv(clip[:, :, t]) for t in range(T)], 2)
    inflate(network)
    assert type(network[0]) is DifferenceConv3d
    torch.testing.assert_close(network(clip), wanted, atol=1e-5, rtol=1e-5)


def test_in_the_precision_of_the_network():
    network = nn.Sequential(nn.Conv2d(C, 4, 3), nn.BatchNorm2d(4)).bfloat16()
    inflate(network, spans={"0": 3})
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}


def test_errors():
    plain = inspect.unwrap(inflate)
    with pytest.raises(ValueError, match=r"'layer1\.0\.se', a SEModule.*supported are ResNet"):
        plain(timm.create_model("seresnet50"))
    with pytest.raises(ValueError, match="cannot span 4 frames"):
        plain(nn.Sequential(nn.Conv2d(3, 3, 1)), spans={"0": 4})
    with pytest.raises(ValueError, match="no layer to inflate is called 1, conv"):
        plain(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), spans={"1": 3}, strides={"conv": 2})
