from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.models.bninception import BNInception
from interlace.models.eco import ECO, eco, eco_lite, xavier_head
from interlace.training.batch_norm import fixed_batch_norms

B, T = 2, 4
BACKBONES = ["bninception", "resnet18"]


def frames_of(size: int = 40) -> torch.Tensor:
    return torch.randn(B * T, 3, size, size)


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters", "gmacs"),
    [
        ("eco_lite_bninception", 101, 37.35, 46.49),
        ("eco_bninception", 101, 47.04, 64.41),
        ("eco_bninception", 400, 47.50, 64.41),  # Table 1: 47.5M, 64G
    ],
)
def test_costs_are_the_published_ones(name, num_classes, parameters, gmacs):
    with torch.device("meta"):
        model = interlace.create_model(name, num_classes=num_classes)
    assert model.num_segments == 16
    assert count_parameters(model) / 1e6 == pytest.approx(parameters, abs=0.005)
    assert count_macs(model, (1, 16, 3, 224, 224)) / 1e9 == pytest.approx(gmacs, abs=0.01)


def test_the_four_lengths_of_enlite_cost_what_the_table_says():
    """Table 1: 92 frames, 267G, 150M."""
    gmacs = []
    for length in (16, 20, 24, 32):
        with torch.device("meta"):
            network = eco_lite("bninception", num_segments=length)
        gmacs.append(count_macs(network, (length, 3, 224, 224)) / 1e9)
    assert sum(gmacs) == pytest.approx(267, rel=0.005)


@pytest.mark.parametrize(
    ("build", "width", "length"),
    [*((eco_lite, 512, length) for length in (4, 5, 6, 8, 16, 20, 24, 32)), (eco, 1536, 4), (eco, 1536, 7)],
)
def test_lengths(build, width, length):
    with torch.device("meta"):
        network = build("bninception", num_segments=length)
        features = network(torch.empty(B * length, 3, 64, 64))
    assert network.head_hidden_size == width
    assert features.shape == (B, width)


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_full_is_lite_and_the_mean_of_the_frames(backbone):
    full = eco(backbone, num_segments=T).eval()
    lite = eco_lite(backbone, num_segments=T).eval()
    assert full.state_dict().keys() > lite.state_dict().keys()
    lite.load_state_dict({key: full.state_dict()[key] for key in lite.state_dict()})
    frames = frames_of()
    features = full(frames)
    torch.testing.assert_close(features[:, :512], lite(frames))
    plain = interlace.create_model(f"tsn_{backbone}", num_classes=3, num_segments=T).backbone.eval()
    plain.load_state_dict(full.frames.network.state_dict())
    torch.testing.assert_close(features[:, 512:], plain(frames).unflatten(0, (B, T)).mean(1))


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_the_order_of_frames_matters_and_clips_stay_apart(backbone):
    network = eco_lite(backbone, num_segments=T).eval()
    clips = frames_of().unflatten(0, (B, T))
    forward, backward = network(clips.flatten(0, 1)), network(clips.flip(1).flatten(0, 1))
    assert (forward - backward).abs().max() > 0.01 * forward.abs().max()
    other = clips.clone()
    other[1] = 0
    torch.testing.assert_close(network(other.flatten(0, 1))[0], forward[0])


@pytest.mark.parametrize(
    "name", ["eco_lite_bninception", "eco_bninception", "eco_lite_resnet18", "eco_resnet18"]
)
def test_every_weight_learns(name):
    # timm's residual branches start at zero otherwise, and their weights have no gradient at first.
    arguments = {"zero_init_last": False} if "resnet" in name else {}
    model = interlace.create_model(name, num_classes=3, num_segments=T, **arguments)
    model(torch.randn(B, T, 3, 40, 40)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad.isfinite().all() for p in model.parameters())
    # A bias in front of a batch norm has the gradient 0, but for rounding; all else has another one.
    zero = [n for n, p in model.named_parameters() if not p.grad.any() and not n.endswith(".bias")]
    assert not zero


def test_gray_pictures():
    model = interlace.create_model("eco_lite_bninception", num_classes=3, num_segments=T, in_chans=1).eval()
    assert model.mean == pytest.approx(((104 + 117 + 128) / 3 / 255,))
    assert model(torch.zeros(1, T, 1, 40, 40)).shape == (1, 3)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_too_few_frames(length):
    with pytest.raises(ValueError, match=rf"num_segments={length}.* 4 or more|num_segments=0 must"):
        interlace.create_model("eco_resnet18", num_classes=3, num_segments=length)


def test_frames_that_are_no_clips():
    with pytest.raises(ValueError, match="7 frames do not divide into clips of num_segments=4"):
        eco_lite("resnet18", num_segments=T)(torch.zeros(7, 3, 40, 40))


def test_networks_without_such_maps():
    with pytest.raises(ValueError, match="not of 'mobilenetv2_050'"):
        interlace.create_model("eco_mobilenetv2_050", num_classes=3, num_segments=T)


@pytest.mark.parametrize("full", [False, True])
def test_published_weights_of_the_image_network(published, full):
    state = published.published_state()
    network = ECO(BNInception(), num_segments=T, full=full)
    taken = network.from_image_weights(state)
    assert taken.keys() | network.own_keys() == network.state_dict().keys()
    assert not taken.keys() & network.own_keys()
    network.load_state_dict(taken, strict=False)
    wanted = state["inception_3c_double_3x3_1.weight"]
    assert torch.equal(network.frames.network.inception_3c.three_twice[1].conv.weight, wanted)


@pytest.mark.parametrize("name", ["tsn_bninception", "eco_lite_bninception", "eco_bninception"])
def test_a_file_of_the_published_weights(published, tmp_path, name):
    state = published.published_state()
    torch.save(state, tmp_path / "bn_inception.pth")
    arguments = {"num_classes": 3, "num_segments": T, "pretrained": tmp_path / "bn_inception.pth"}
    model = interlace.create_model(name, **arguments)
    first = model.backbone.get_submodule(model.backbone.pretrained_cfg["first_conv"])
    assert torch.equal(first.weight, state["conv1_7x7_s2.weight"].flip(1))
    gray = interlace.create_model(name, in_chans=1, **arguments).backbone
    first = gray.get_submodule(gray.pretrained_cfg["first_conv"])
    torch.testing.assert_close(first.weight, state["conv1_7x7_s2.weight"].sum(1, keepdim=True))
    torch.save({**state, "inception_6a_1x1.bias": torch.zeros(3)}, tmp_path / "bn_inception.pth")
    with pytest.raises(ValueError, match=r"has unknown 1 weights.*inception_6a"):
        interlace.create_model(name, **arguments)


@pytest.mark.parametrize("build", [eco_lite, eco])
def test_weights_of_a_resnet(build):
    state = timm.create_model("resnet18").state_dict()
    network = build("resnet18", num_segments=T)
    taken = network.from_image_weights({**state, "odd.weight": torch.zeros(1)})
    assert taken.keys() - network.state_dict().keys() == {"frames.network.odd.weight"}
    assert network.state_dict().keys() - taken.keys() == network.own_keys()
    assert "frames.reduce.conv.weight" in network.own_keys()


def test_weights_of_eco_stay():
    network = eco_lite("resnet18", num_segments=T)
    assert network.from_image_weights(network.state_dict()).keys() == network.state_dict().keys()


def test_the_first_convolution_is_where_it_is_said_to_be():
    for backbone in [*BACKBONES, "resnet50"]:
        with torch.device("meta"):
            network = eco_lite(backbone, num_segments=T)
        conv = network.get_submodule(network.pretrained_cfg["first_conv"])
        assert type(conv) is nn.Conv2d
        assert conv.in_channels == 3


@pytest.mark.parametrize("name", ["eco_bninception", "eco_lite_resnet18"])
def test_optimized(name):
    """Batch norms of the pictures are folded; those of the 3-D network stay."""
    model = interlace.create_model(name, num_classes=3, num_segments=T).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)):
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.normal_(norm.running_mean, std=0.1)
    clips = torch.randn(B, T, 3, 40, 40)
    fast = interlace.optimize(model, dtype=torch.float32, verify=False)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert any(isinstance(m, nn.BatchNorm3d) for m in fast.modules())
    with torch.no_grad():
        torch.testing.assert_close(fast(clips), model(clips), atol=1e-4, rtol=1e-4)


def test_partial_batch_norm_leaves_the_first_and_the_3d_network():
    network = eco("bninception", num_segments=T)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms[0] is network.frames.network.conv1.norm
    assert fixed_batch_norms(network, "partial") == norms[1:]


def test_the_classifier_starts_as_published():
    """Glorot and Bengio: uniform up to sqrt(6 / (inputs + outputs))."""
    head, consensus = xavier_head(512, 101, num_segments=16)
    limit = (6 / (512 + 101)) ** 0.5
    assert 0.99 * limit < head.weight.abs().max() <= limit
    assert not head.bias.any()
    feature = torch.randn(B, 1, 5)
    assert torch.equal(consensus(feature), feature[:, 0])


def test_another_number_of_frames_with_the_same_weights():
    model = interlace.create_model("eco_lite_resnet18", num_classes=3, num_segments=T).eval()
    longer = interlace.models.with_num_segments(model, 6)
    assert longer.num_segments == longer.backbone.num_segments == 6
    assert all(torch.equal(value, longer.state_dict()[key]) for key, value in model.state_dict().items())
    assert longer(torch.zeros(1, 6, 3, 40, 40)).shape == (1, 3)
