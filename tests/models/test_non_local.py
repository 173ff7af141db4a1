from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.models import create_model, with_num_segments
from interlace.models.backbone import temporal_keys
from interlace.models.model import VideoModel
from interlace.models.non_local import every_second_block, insert_non_local
from interlace.temporal import NonLocalBlock, NonLocalFrames, TemporalInterlace, TemporalShift

CLIP = (2, 4, 3, 64, 64)
RESNET50 = ["layer2.0", "layer2.2", "layer3.0", "layer3.2", "layer3.4"]


def awake(model: VideoModel) -> VideoModel:
    """A network that says something, with blocks whose scale is not zero, for evaluation."""
    nn.init.normal_(model.head.weight, std=0.05)
    for module in model.modules():
        if isinstance(module, NonLocalBlock):
            nn.init.ones_(module.norm.weight)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", RESNET50),
        ("resnet18", ["layer2.0", "layer3.0"]),
        ("resnet101", ["layer2.0", "layer2.2", *(f"layer3.{block}" for block in range(0, 23, 2))]),
        ("mobilenetv2_100", ["blocks.2.1", "blocks.3.1", "blocks.3.3", "blocks.4.1"]),
        ("convnext_atto", ["stages.1.blocks.0", *(f"stages.2.blocks.{block}" for block in (0, 2, 4))]),
    ],
)
def test_the_places(name, expected):
    with torch.device("meta"):
        model = create_model(f"tsn_nl_{name}", num_classes=5, num_segments=4)
        assert every_second_block(timm.create_model(name)) == expected
        assert model(torch.empty(CLIP)).shape == (2, 5)
    blocks = [n for n, module in model.backbone.named_modules() if isinstance(module, NonLocalFrames)]
    assert [name.replace("non_local", "") for name in blocks] == expected


@pytest.mark.reference
def test_the_names_and_places_of_the_released_network(reference_dir):
    layers = {"g.0": "g", "phi.0": "phi", "theta": "theta", "W.0": "w", "W.1": "norm"}
    released = {}
    for key, shape in json.loads((reference_dir / "net_tsm_r50_nl_keys.json").read_text()).items():
        name = key.replace("base_model.", "backbone.").replace("new_fc.", "head.")
        name = name.replace(".block.", ".").replace(".net.", ".")
        stage_and_block, is_block, rest = name.partition(".nl.")
        if is_block:
            stage, _, block = stage_and_block.rpartition(".")
            layer, _, leaf = rest.rpartition(".")
            name = f"{stage}.non_local{block}.{layers[layer]}.{leaf}"
        released[name] = (*shape[:2], 1) if is_block and len(shape) == 5 else tuple(shape)
    with torch.device("meta"):
        model = create_model("tsm_nl_resnet50", num_classes=174)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == released


def test_the_published_size():
    with torch.device("meta"):
        model = create_model("tsm_nl_resnet50", num_classes=174)
    assert count_parameters(model) == 31_223_022
    assert round(count_macs(model, (1, 8, 3, 224, 224)) / 1e9, 1) == 61.1


@pytest.mark.parametrize("method", ["tsn", "tsm", "tin"])
def test_a_new_network_is_the_one_without_blocks(method):
    model, plain = (
        create_model(f"{name}_resnet18", num_classes=5, num_segments=4, zero_init_last=False).eval()
        for name in (f"{method}_nl", method)
    )
    own = {key for key in model.state_dict() if ".non_local" in key}
    assert model.state_dict().keys() - own == plain.state_dict().keys()
    assert own <= temporal_keys(model)
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if key not in own})
    clip = torch.randn(CLIP)
    with torch.no_grad():
        features = plain.forward_features(clip)
        torch.testing.assert_close(model.forward_features(clip), features, atol=1e-5, rtol=1e-5)
        assert (awake(model).forward_features(clip) - features).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("method", "part", "number"),
    [("tsm", TemporalShift, 8), ("tin", TemporalInterlace, 8), ("tsn", nn.Fold, 0)],
)
def test_the_temporal_modules_of_the_method_are_there_too(method, part, number):
    with torch.device("meta"):
        model = create_model(f"{method}_nl_resnet18", num_classes=5)
    assert sum(isinstance(module, part) for module in model.modules()) == number
    assert sum(isinstance(module, NonLocalFrames) for module in model.modules()) == 2


@pytest.mark.parametrize("similarity", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"])
def test_it_learns_with_every_part(similarity):
    model = create_model("tin_nl_resnet18", num_classes=5, num_segments=4, dropout=0.0, similarity=similarity)
    awake(model).train()
    nn.functional.cross_entropy(model(torch.randn(CLIP)), torch.tensor([1, 3])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_image_weights_load_by_name(tmp_path: Path):
    image = timm.create_model("resnet18")
    save_file(image.state_dict(), tmp_path / "resnet18.safetensors")
    model = create_model("tsm_nl_resnet18", num_classes=5, pretrained=tmp_path / "resnet18.safetensors")
    assert torch.equal(model.backbone.layer3[0].conv2.weight, image.layer3[0].conv2.weight)
    assert not model.backbone.layer3.non_local0.norm.weight.any()


def test_arguments_reach_the_blocks():
    model = create_model("tsn_nl_resnet18", num_classes=5, num_segments=4, subsample=False)
    block = model.backbone.layer3.non_local0
    assert (block.subsample, block.num_segments) == (False, 4)
    assert model.builder_args["subsample"] is False


def test_places_may_be_given_and_are_kept_with_the_network():
    model = create_model("tsn_nl_resnet18", num_classes=5, num_segments=4, places=["layer1.1", "layer3.1"])
    assert list(dict(model.backbone.layer1.named_children())) == ["0", "1", "non_local1"]
    assert model.builder_args["places"] == ["layer1.1", "layer3.1"]
    clip = torch.randn(CLIP)
    longer = with_num_segments(awake(model), 6)
    assert longer(torch.zeros(2, 6, 3, 64, 64)).shape == (2, 5)
    torch.testing.assert_close(with_num_segments(longer, 4)(clip), model(clip))


def test_a_network_of_clips_takes_the_block_of_clips():
    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x).relu()

    network = nn.Sequential()
    network.add_module("layer1", nn.Sequential(Block(3, 6), Block(6, 8)))
    insert_non_local(network, partial(NonLocalBlock, similarity="dot_product"), ["layer1.1"])
    assert list(dict(network.layer1.named_children())) == ["0", "1", "non_local1"]
    assert network.layer1.non_local1.norm.num_features == 8
    assert network(torch.zeros(2, 3, 4, 5, 7)).shape == (2, 8, 4, 5, 7)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("tsn_nl_resnet18", {"places": ["layer2.7"]}, "the network has no block 'layer2.7'"),
        ("tsn_nl_resnet18", {"places": ["layer2"]}, "ResNet is not a sequence of blocks"),
        ("tsn_nl_regnetx_008", {}, "RegStage is not a sequence of blocks"),
        ("tsn_nl_vit_tiny_patch16_224", {}, "has no residual blocks .* supported are ResNet"),
    ],
)
def test_a_place_that_takes_none_is_named(name, arguments, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        create_model(name, num_classes=5, **arguments)


def test_channels_last_and_optimized_it_says_the_same():
    model = awake(create_model("tin_nl_resnet18", num_classes=5, num_segments=4))
    clip = torch.randn(CLIP)
    fast = interlace.optimize(model, dtype=torch.float32, compile=False, example=clip)
    assert fast.agreement.relative_error < 1e-5
    with torch.no_grad():
        wanted = model(clip)
        model.to(memory_format=torch.channels_last)
        torch.testing.assert_close(model(clip), wanted, atol=1e-4, rtol=1e-4)


def test_one_block_behind_a_place():
    with pytest.raises(ValueError, match=r"places=\['layer2.0', 'layer2.0'\]: a block is named twice"):
        create_model("tsn_nl_resnet18", num_classes=3, places=["layer2.0", "layer2.0"])
