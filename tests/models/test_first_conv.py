from __future__ import annotations

import pytest
import timm
import torch
from torch.nn import functional as F

import interlace
from interlace.modality import channels_of
from interlace.models.first_conv import DifferenceConv2d, adapt_first_conv, adapt_weight, first_conv

RGB = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("modality", "channels"), [("flow", 10), ("rgb_diff", 15)])
def test_weights_are_the_mean_of_the_colors(modality, channels):
    weight = adapt_weight(RGB, modality)
    assert weight.shape == (4, channels, 5, 5)
    for channel in range(channels):
        assert torch.equal(weight[:, channel], RGB.mean(1))


def test_weights_for_other_colors():
    assert torch.equal(adapt_weight(RGB, "rgb"), RGB)
    torch.testing.assert_close(adapt_weight(RGB, "rgb", 1), RGB.sum(1, keepdim=True))
    assert adapt_weight(RGB, "rgb_diff", 1).shape == (4, 5, 5, 5)
    with pytest.raises(ValueError, match=r"rgb_flow' is for two-stream networks"):
        adapt_weight(RGB, "rgb_flow")


@pytest.mark.parametrize("name", ["resnet18", "resnet50d", "mobilenetv2_050", "convnext_atto", "regnetx_002"])
def test_flow_sees_the_sum_over_its_channels(name):
    plain = timm.create_model(name, num_classes=0).eval()
    network = timm.create_model(name, num_classes=0).eval()
    network.load_state_dict(plain.state_dict())
    adapt_first_conv(network, "flow")
    x = torch.randn(2, 10, 32, 32)
    conv = first_conv(plain)
    expected = F.conv2d(
        x.sum(1, keepdim=True), conv.weight.mean(1, keepdim=True), conv.bias, conv.stride, conv.padding
    )
    torch.testing.assert_close(first_conv(network)(x), expected, atol=1e-5, rtol=1e-5)
    assert network(x).shape == plain(x[:, :3]).shape
    assert set(network.state_dict()) == set(plain.state_dict())


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_b0"])  # the second pads as TensorFlow does
def test_differences_are_taken_by_the_convolution(name):
    plain = timm.create_model(name, num_classes=0, in_chans=15).eval()
    network = timm.create_model(name, num_classes=0).eval()
    adapt_first_conv(network, "rgb_diff")
    conv = first_conv(network)
    assert isinstance(conv, DifferenceConv2d)
    conv.weight = first_conv(plain).weight
    frames = torch.randn(2, 6, 3, 33, 32)
    differences = (frames[:, 1:] - frames[:, :-1]).flatten(1, 2)
    expected = first_conv(plain)(differences)
    torch.testing.assert_close(conv(frames.flatten(1, 2)), expected)
    torch.testing.assert_close(conv(frames.flatten(1, 2) + 7.0), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_every_family_takes_it(modality):
    channels = channels_of(modality)
    with torch.device("meta"):
        for name in ("convnextv2_atto", "mobilenetv3_small_100", "regnety_002", "seresnet18", "bninception"):
            model = interlace.create_model(f"tsn_{name}", num_classes=5, num_segments=2, modality=modality)
            assert model(torch.zeros(1, 2, channels, 64, 64)).shape == (1, 5), name


def test_one_network_does_not_see_both():
    with pytest.raises(ValueError, match="two-stream networks"):
        interlace.create_model("tsn_resnet18", num_classes=5, num_segments=2, modality="rgb_flow")


def test_a_network_that_does_not_begin_with_a_convolution():
    network = timm.create_model("mixer_s32_224", num_classes=0)
    network.pretrained_cfg["first_conv"] = "norm"
    with pytest.raises(ValueError, match="is a LayerNorm and no convolution of frames"):
        adapt_first_conv(network, "flow")
    network.pretrained_cfg["first_conv"] = ("a", "b")
    with pytest.raises(ValueError, match="several first layers"):
        adapt_first_conv(network, "flow")


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_optimized_networks_agree(modality):
    model = interlace.create_model("tsm_resnet18", num_classes=5, num_segments=4, modality=modality).eval()
    clip = torch.randn(1, 4, model.in_chans, 64, 64)
    fast = interlace.optimize(model, dtype=torch.float32, example=clip)
    with torch.inference_mode():
        torch.testing.assert_close(fast(clip), model(clip), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_gradients_reach_the_weights(modality):
    model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=2, modality=modality)
    model(torch.randn(2, 2, model.in_chans, 32, 32)).sum().backward()
    assert first_conv(model.backbone).weight.grad.abs().sum() > 0
