"""I3D: the form of the tables, what it costs, and that it is the image network on a still clip."""

from __future__ import annotations

import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.models.i3d import i3d, i3d_light, i3d_light_nl, i3d_nl
from interlace.models.inflate import InflatedBatchNorm3d
from interlace.temporal import NonLocalBlock

B, T = 2, 5


def randomized(network: nn.Module) -> nn.Module:
    """Norms that change what goes through them."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def image_twin(name: str, network: nn.Module, *, keeps_size: bool) -> nn.Module:
    """The 2-D network with the same weights."""
    twin = timm.create_model(name, num_classes=0).double().eval()
    own = network.state_dict()
    twin.load_state_dict({k: own[k].sum(2) if own[k].ndim == 5 else own[k] for k in twin.state_dict()})
    if keeps_size:
        for conv in twin.layer4.modules():
            if isinstance(conv, nn.Conv2d):
                conv.stride = (1, 1)
    return twin


# A feature in the middle sees so many frames either way: 10 of resnet18's 24, 34 of the light one's 80.
@pytest.mark.parametrize(
    ("build", "name", "num_segments"),
    [(i3d, "resnet18", 24), (i3d, "resnet26", 24), (i3d_light, "resnet18", 80)],
)
def test_a_still_clip_gives_the_features_of_the_picture(build, name, num_segments):
    network = randomized(build(name, num_segments=num_segments)).double().eval()
    picture = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        features = network.forward_features(picture.expand(num_segments, -1, -1, -1))
        wanted = image_twin(name, network, keeps_size=build is i3d).forward_features(picture)
    middle = features.shape[2] // 2
    torch.testing.assert_close(features[:, :, middle], wanted)
    assert (features[:, :, 0] - wanted).abs().max() > 1e-2  # zeros before the first frame


@pytest.mark.parametrize(
    ("build", "num_segments", "wanted"),
    [
        *((i3d, num_segments, wanted) for num_segments, wanted in ((1, 1), (4, 2), (5, 3), (16, 8))),
        *((i3d_light, num_segments, wanted) for num_segments, wanted in ((1, 1), (4, 1), (9, 2), (32, 4))),
    ],
)
def test_frames_of_the_features(build, num_segments, wanted):
    with torch.device("meta"):
        network = build("resnet18", num_segments=num_segments)
        features = network.forward_features(torch.empty(B * num_segments, 3, 64, 96))
    size = (4, 6) if build is i3d else (2, 3)
    assert features.shape == (B, 512, wanted, *size)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("i3d_resnet50", 27.58, 152.5),  # as published: 28.0 with 400 classes, 153
        ("i3d_light_resnet50", 27.58, 33.1),
        ("i3d_nl_resnet50", 34.94, 233.2),
        ("i3d_light_nl_resnet50", 34.94, 44.3),
    ],
)
def test_costs(name, params, macs):
    with torch.device("meta"):
        model = interlace.create_model(name, num_classes=174)
    assert model.num_segments == 32
    assert count_parameters(model) / 1e6 == pytest.approx(params, rel=0.001)
    assert count_macs(model, (1, 32, 3, 224, 224)) / 1e9 == pytest.approx(macs, rel=0.001)


def test_parameters_of_the_tables_have_the_classes_of_kinetics():
    with torch.device("meta"):
        plain, with_blocks = (
            interlace.create_model(f"{name}_resnet50", num_classes=400) for name in ("i3d", "i3d_nl")
        )
    assert count_parameters(plain) / 1e6 == pytest.approx(28.0, rel=0.01)
    assert count_parameters(with_blocks) / 1e6 == pytest.approx(35.3, rel=0.01)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("resnet18", ([0, 1], [0], [0], [1])),
        ("resnet50", ([0, 1, 2], [0, 2], [0, 2, 4], [1])),
        ("resnet101", ([0, 1, 2], [0, 2], list(range(0, 23, 2)), [1])),
    ],
)
def test_places_that_span_frames(name, wanted):
    with torch.device("meta"):
        network = i3d(name)
    spans = {key: conv.kernel_size[0] for key, conv in network.named_modules() if isinstance(conv, nn.Conv3d)}
    places = {f"layer{s}.{b}.conv1": 3 for s, blocks in enumerate(wanted, 1) for b in blocks}
    assert {key: span for key, span in spans.items() if span > 1} == {"conv1": 5, **places}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("resnet18", ["layer2.0", "layer2.1", "layer3.0", "layer3.1"]),
        ("resnet50", ["layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"]),
        ("resnet101", ["layer2.1", "layer2.3", "layer3.6", "layer3.13", "layer3.20"]),
    ],
)
def test_places_of_the_non_local_blocks(name, wanted):
    with torch.device("meta"):
        network = i3d_nl(name)
    places = [key for key, module in network.named_modules() if isinstance(module, NonLocalBlock)]
    assert [place.replace("non_local", "") for place in places] == wanted
    assert all("non_local" in key for key in network.own_keys())
    assert len(network.own_keys()) == 13 * len(wanted)


@pytest.mark.parametrize(("build", "with_blocks"), [(i3d, i3d_nl), (i3d_light, i3d_light_nl)])
def test_new_non_local_blocks_change_nothing_and_learn(build, with_blocks):
    plain, other = build("resnet18", num_segments=T), with_blocks("resnet18", num_segments=T)
    missing, left_over = other.load_state_dict(plain.state_dict(), strict=False)
    assert not left_over
    assert set(missing) == {
        key for key in other.own_keys() if "num_batches" not in key
    }  # torch adds that one
    frames = torch.randn(B * T, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(frames), plain.eval()(frames))
    other.train()(frames).square().sum().backward()
    gradients = {key: p.grad for key, p in other.named_parameters() if key.endswith("norm.weight")}
    assert len(gradients) == 4
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_the_order_of_frames_matters_that_of_clips_does_not():
    network = randomized(i3d("resnet18", num_segments=T)).eval()
    clips = torch.randn(B, T, 3, 48, 40)
    with torch.no_grad():
        out = network(clips.flatten(0, 1))
        torch.testing.assert_close(network(clips.flip(0).flatten(0, 1)), out.flip(0))
        assert (network(clips.flip(1).flatten(0, 1)) - out).abs().max() > 1e-3


def test_image_weights_are_repeated_and_own_ones_stay():
    network = i3d("resnet50", num_segments=T)
    image = timm.create_model("resnet50", num_classes=0).state_dict()
    state = network.from_image_weights(image)
    network.load_state_dict(state)
    torch.testing.assert_close(network.layer1[0].conv1.weight.sum(2), image["layer1.0.conv1.weight"])
    assert state["layer1.1.conv2.weight"].shape == (64, 64, 1, 3, 3)
    again = network.from_image_weights(network.state_dict())
    assert all(torch.equal(again[key], value) for key, value in state.items())
    assert network.own_keys() == set()


def test_a_file_of_image_weights(tmp_path):
    image = timm.create_model("resnet18")
    save_file(image.state_dict(), tmp_path / "image.safetensors")
    model = interlace.create_model(
        "i3d_nl_resnet18", num_classes=4, num_segments=T, pretrained=tmp_path / "image.safetensors"
    )
    torch.testing.assert_close(model.backbone.conv1.weight.sum(2), image.conv1.weight.detach())
    torch.testing.assert_close(
        model.backbone.layer4[1].conv1.weight.sum(2), image.layer4[1].conv1.weight.detach()
    )


@pytest.mark.parametrize(
    ("arguments", "channels", "seen"),
    [({"in_chans": 1}, 1, 1), ({"modality": "flow"}, 10, 10), ({"modality": "rgb_diff"}, 18, 15)],
)
def test_other_channels(arguments, channels, seen):
    network = i3d("resnet18", num_segments=T, **arguments)
    assert network.conv1.weight.shape[1] == seen
    frames = torch.randn(B * T, channels, 33, 47, requires_grad=True)
    network(frames).square().sum().backward()
    assert (frames.grad.abs().sum((1, 2, 3)) > 0).all()


def test_its_norms_can_be_told_from_new_ones():
    network = i3d_nl("resnet18", num_segments=T)
    own = {key for key, module in network.named_modules() if isinstance(module, InflatedBatchNorm3d)}
    assert len(own) == 20
    assert not any("non_local" in key for key in own)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "seresnet50", "bninception"])
def test_networks_that_it_cannot_inflate(name):
    with pytest.raises(ValueError, match="supported are ResNet"):
        i3d(name)


def test_bfloat16_and_one_compiled_graph():
    """In a process of its own, as the shape checks of the test run cannot be compiled."""
    code = """
import torch, interlace
torch.manual_seed(0)
clip = torch.randn(2, 3, 3, 32, 32)
small = {"layers": (1, 1, 1, 1), "zero_init_last": False}
model = interlace.create_model("i3d_light_nl_resnet18", num_classes=3, num_segments=3, **small)
torch.nn.init.normal_(model.eval().head.weight)
with torch.no_grad():
    wanted = model(clip)
    with torch.autocast("cpu", torch.bfloat16):
        out = torch.compile(model, fullgraph=True, backend="aot_eager")(clip)
assert out.dtype == torch.bfloat16
torch.testing.assert_close(out.float(), wanted, atol=0.05 * wanted.abs().max().item(), rtol=0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
