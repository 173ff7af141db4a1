from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.models.bninception import BNInception, Inception, Reduction, init_xavier
from interlace.models.bninception_weights import from_published
from interlace.optimization.convolution import FusedConv2d
from interlace.optimization.fold import fold_batch_norms
from interlace.optimization.fuse import fuse
from interlace.training.batch_norm import fixed_batch_norms


def loaded(state: dict[str, torch.Tensor]) -> BNInception:
    network = BNInception()
    network.load_state_dict(network.from_image_weights(state))
    return network.double().eval()


def normalised(network: BNInception, rgb: torch.Tensor) -> torch.Tensor:
    """Pixels 0..255 as our preprocessing gives them."""
    mean, std = (torch.tensor(network.pretrained_cfg[key], dtype=torch.float64) for key in ("mean", "std"))
    return (rgb.double() / 255 - mean[:, None, None]) / std[:, None, None]


@pytest.mark.parametrize("picture", ["noise", "red"])
@torch.no_grad()
def test_published_weights_say_of_rgb_what_they_say_of_bgr(published, picture):
    state = published.published_state()
    network = loaded(state)
    rgb = torch.randint(0, 256, (2, 3, 64, 96))
    if picture == "red":
        rgb[:, 1:] = 0
    bgr = rgb.flip(1).double() - torch.tensor([104.0, 117.0, 128.0])[:, None, None]
    wanted = published.features(state, bgr)
    assert wanted.std() > 0.1
    torch.testing.assert_close(network(normalised(network, rgb)), wanted, atol=1e-7, rtol=1e-6)


def test_every_published_weight_has_a_place_and_every_place_a_weight(published):
    assert from_published(published.published_state()).keys() == BNInception().state_dict().keys()


@pytest.mark.parametrize("classifier", ["last_linear", "fc"])
def test_batch_norms_of_old_files_have_a_row_too_many(published, classifier):
    torch.manual_seed(1)
    old = from_published(published.published_state(norm_shape=(1, -1), classifier=classifier))
    torch.manual_seed(1)
    new = from_published(published.published_state())
    assert old.keys() == new.keys()
    assert all(torch.equal(old[key], new[key]) for key in new)


def test_a_published_count_of_batches_is_kept():
    state = {
        "conv2_3x3_bn.running_mean": torch.zeros(192),
        "conv2_3x3_bn.num_batches_tracked": torch.tensor(7),
    }
    assert from_published(state)["conv2.norm.num_batches_tracked"] == 7
    assert from_published(dict(reversed(state.items())))["conv2.norm.num_batches_tracked"] == 7


def test_weights_for_flow_are_not_turned_round():
    weight = torch.randn(64, 10, 7, 7)
    assert torch.equal(from_published({"conv1_7x7_s2.weight": weight})["conv1.conv.weight"], weight)


def test_our_own_names_stay():
    network = BNInception()
    own = network.from_image_weights(network.state_dict())
    assert own.keys() == network.state_dict().keys()
    assert torch.equal(own["conv1.conv.weight"], network.conv1.conv.weight)
    assert from_published({"inception_3a_5x5.weight": torch.zeros(1)}).keys() == {"inception_3a_5x5.weight"}


def test_channels_of_two_modules_by_hand():
    """3b is 64 + 96 + 96 + 64 = 320, and 4e passes its 608 on beside 192 + 256."""
    network = BNInception()
    assert isinstance(network.inception_3b, Inception)
    sizes = [tuple(m.weight.shape[:3]) for m in network.inception_3b.modules() if isinstance(m, nn.Conv2d)]
    assert sizes == [
        (64, 256, 1),
        (64, 256, 1),
        (96, 64, 3),
        (64, 256, 1),
        (96, 64, 3),
        (96, 96, 3),
        (64, 256, 1),
    ]
    assert isinstance(network.inception_4e, Reduction)
    convs = [m for m in network.inception_4e.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.in_channels, m.stride[0]) for m in convs] == [
        (128, 608, 1),
        (192, 128, 2),
        (192, 608, 1),
        (256, 192, 1),
        (256, 256, 2),
    ]


def test_stages_of_a_picture_of_224():
    with torch.device("meta"):
        network = BNInception()
        early = network.early(torch.empty(1, 3, 224, 224))
        middle = network.inception_3c.middle(early)
        halved = network.inception_3c(early)
        last = network.late(halved)
    assert [tuple(x.shape[1:]) for x in (early, middle, halved, last)] == [
        (320, 28, 28),
        (96, 28, 28),
        (576, 14, 14),
        (1024, 7, 7),
    ]


@torch.no_grad()
def test_odd_maps_are_halved_upwards():
    """Windows of 3 at 0, 2, 4: the last has one row of 5, and two columns of 6."""
    x = torch.rand(1, 8, 5, 6)
    pooled = Reduction(8, three=(4, 4), three_twice=(4, 4)).eval()(x)[:, 8:]
    assert pooled.shape == (1, 8, 3, 3)
    assert torch.equal(pooled[0, :, 2, 2], x[0, :, 4, 4:].amax(1))
    assert torch.equal(pooled[0, :, 1, 1], x[0, :, 2:5, 2:5].amax((1, 2)))


@pytest.mark.parametrize("size", [(33, 65), (240, 256), (17, 17)])
def test_small_and_odd_pictures(size):
    with torch.device("meta"):
        assert BNInception()(torch.empty(2, 3, *size)).shape == (2, 1024)


@pytest.mark.parametrize(("num_classes", "parameters"), [(174, 10_448_590), (400, 10_680_240)])
def test_costs_of_tsn_are_those_of_the_table(num_classes, parameters):
    """Table 1 has 10.7M, which is with 400 classes, and 16G for 8 frames."""
    with torch.device("meta"):
        model = interlace.create_model("tsn_bninception", num_classes=num_classes, num_segments=8)
    assert count_parameters(model) == parameters
    assert count_macs(model, (1, 8, 3, 224, 224)) / 1e9 == pytest.approx(16.25, abs=0.01)


@torch.no_grad()
def test_every_batch_norm_is_folded_and_nothing_changes(published):
    network = loaded(published.published_state())
    frames = torch.randn(2, 3, 64, 64).double()
    wanted = network(frames)
    folded = copy.deepcopy(network)
    assert fold_batch_norms(folded) == sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 69
    torch.testing.assert_close(folded(frames), wanted, atol=1e-10, rtol=1e-10)
    fuse(folded)
    fused = [m for m in folded.modules() if isinstance(m, FusedConv2d)]
    assert [type(m.activation) for m in fused] == [nn.ReLU] * 69
    torch.testing.assert_close(folded(frames), wanted, atol=1e-10, rtol=1e-10)


def test_partial_batch_norm_leaves_the_first():
    network = BNInception()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms[0] is network.conv1.norm
    assert fixed_batch_norms(network, "partial") == norms[1:]


def test_weights_start_as_in_caffe():
    """Uniform up to sqrt(3 / fan_in)."""
    conv = nn.Conv2d(64, 96, 3)
    init_xavier(conv)
    limit = (3 / (64 * 9)) ** 0.5
    assert 0.99 * limit < conv.weight.abs().max() <= limit
    assert not conv.bias.any()
