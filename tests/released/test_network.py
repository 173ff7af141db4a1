"""Networks of other depths, lengths, classes and modalities than the recorded ones: read from names and shapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import load_checkpoint
from interlace.models import create_model
from interlace.released import import_released
from interlace.released.formats import find_format
from interlace.released.network import read_network
from interlace.released.non_local import along_positions
from interlace.released.reading import Source

BLOCK = re.compile(r"(layer\d\.\d+)\.(conv|bn|downsample)")


def found(state, format=None, entries=(), **options):
    """What is read from a state, without a file."""
    known, translation = find_format(Source(Path("file.pth"), state, frozenset(entries)), format)
    ours = {name: state[key] for key, name in translation.ours.items()}
    return known.name, read_network(ours, translation.marks, **options)


def written(state, folder, **options):
    """The file imported, and our network with its weights."""
    torch.save(state, folder / "released.pth")
    imported = import_released(folder / "released.pth", folder / "ours.safetensors", **options)
    return imported, load_checkpoint(imported.path)[0]


@pytest.mark.parametrize(
    "backbone",
    [
        "resnet18",
        "resnet34",
        "resnet26",
        "resnet50",
        "resnet101",
        "resnet152",
        "wide_resnet50_2",
        "resnext50_32x4d",
    ],
)
def test_depth_and_width_are_read(authors, backbone):
    with torch.device("meta"):
        state = authors.plain(backbone, classes=7)
        format, network = found(state)
    assert (format, network.model) == ("tsm", f"tsn_{backbone}")
    assert network.args == {"num_classes": 7, "num_segments": 8}


def test_deep_stems_of_x_temporal(authors, tmp_path):
    with torch.device("meta"):
        format, network = found(authors.shifted(authors.plain("resnet50c")), entries=["lr_scheduler"])
    assert (format, network.model) == ("x-temporal", "tsm_resnet50c")
    state = {f"module.{name}": value for name, value in authors.shifted(authors.plain("resnet50d")).items()}
    torch.save({"model": state, "lr_scheduler": {"last_epoch": 3}, "epoch": 35}, tmp_path / "released.pth")
    imported = import_released(tmp_path / "released.pth", tmp_path / "ours.safetensors", format="x-temporal")
    assert (imported.format, imported.card.model) == ("x-temporal", "tsm_resnet50d")
    assert imported.card.training["epoch"] == 35


@pytest.mark.parametrize(("num_segments", "shift_div", "num_groups"), [(16, 4, 2), (8, 8, 2), (5, 2, 4)])
def test_length_divisor_and_groups_of_tin_are_read(authors, num_segments, shift_div, num_groups, tmp_path):
    state = authors.interlaced(
        authors.plain("resnet18"), num_segments=num_segments, shift_div=shift_div, num_groups=num_groups
    )
    imported, model = written(state, tmp_path)
    assert imported.format == "tin"
    assert imported.card.sampling == {"name": "segment", "num_segments": num_segments}
    told = {key: imported.card.model_args[key] for key in ("shift_div", "num_groups", "num_segments")}
    assert told == {"shift_div": shift_div, "num_groups": num_groups, "num_segments": num_segments}
    net = state["base_model.layer3.1.conv1.net1.biasnet.net.fc.weight"]
    assert torch.equal(model.backbone.layer3[1].conv1.temporal.offset_net.fc1.weight, net)
    assert model(torch.zeros(2, num_segments, 3, 32, 32)).shape == (2, 5)


def test_tin_on_resnet101_interlaces_every_block(authors):
    with torch.device("meta"):
        format, network = found(authors.interlaced(authors.plain("resnet101"), num_segments=8, shift_div=4))
    assert (format, network.model) == ("tin", "tin_released_resnet101")


@pytest.mark.parametrize(
    ("backbone", "every", "convs", "model", "said"),
    [
        ("resnet101", 2, "1", "tsm_resnet101", None),
        ("resnet101", 1, "1", "tsm_resnet101", 1),
        ("resnet101", 1, "12", "tsm_two_conv_resnet101", None),
        ("resnet34", 1, "1", "tsm_resnet34", None),
        ("resnet34", 2, "1", "tsm_resnet34", 2),
        ("resnet152", 2, "1", "tsm_resnet152", None),
    ],
)
def test_which_blocks_shift_is_read(authors, backbone, every, convs, model, said):
    with torch.device("meta"):
        _, network = found(authors.shifted(authors.plain(backbone), every=every, convs=convs))
    assert network.model == model
    assert network.args.get("every") == said


def test_every_second_block_is_built_so(authors, tmp_path):
    _, model = written(authors.shifted(authors.plain("resnet18"), every=2), tmp_path)
    assert hasattr(model.backbone.layer1[0].conv1, "temporal")
    assert not hasattr(model.backbone.layer1[1].conv1, "temporal")


def test_in_place_on_resnet101_shifts_before_every_block(authors):
    with torch.device("meta"):
        state = {BLOCK.sub(r"\1.net.\2", name): value for name, value in authors.plain("resnet101").items()}
        _, network = found(state)
    assert (network.model, network.args["every"]) == ("tsm_in_place_resnet101", 1)


def test_fold_divisor_and_length_of_tsm_are_said_by_the_user(authors):
    with torch.device("meta"):
        _, network = found(authors.shifted(authors.plain("resnet18")), num_segments=16, fold_div=4)
    assert network.args == {"num_classes": 5, "num_segments": 16, "fold_div": 4}


@pytest.mark.parametrize(("in_chans", "modality", "channels"), [(10, "flow", 10), (15, "rgb_diff", 18)])
def test_what_the_first_convolution_sees_is_read(authors, published, in_chans, modality, channels, tmp_path):
    state = authors.shifted(authors.plain("resnet18", in_chans=in_chans))
    imported, model = written(state, tmp_path, num_segments=4)
    assert imported.card.preprocessing["modality"] == modality
    assert imported.card.sampling == {"name": "segment", "num_segments": 4, "snippet_length": 6}
    clip = torch.randn(2, 4, channels, 40, 32)
    seen = clip if modality == "flow" else clip[:, :, 3:] - clip[:, :, :-3]
    with torch.no_grad():
        torch.testing.assert_close(model(clip), published.logits(state, seen).float(), atol=1e-4, rtol=0)
    if modality == "flow":  # around its own middle, by the mean deviation of the colors, as released
        assert imported.card.preprocessing["mean"] == [0.5] * 10
        assert imported.card.preprocessing["std"] == pytest.approx([0.226] * 10, abs=1e-3)
    else:  # not normalised
        assert imported.card.preprocessing["std"] == [1.0] * 18


def test_a_head_without_dropout(authors, published, clip, tmp_path):
    state = authors.plain("resnet18")
    renamed = {name.replace("new_fc", "base_model.fc"): value for name, value in state.items()}
    imported, model = written(renamed, tmp_path, num_segments=4)
    assert imported.card.model_args["dropout"] == 0.0
    with torch.no_grad():
        torch.testing.assert_close(model(clip), published.logits(state, clip).float(), atol=1e-4, rtol=0)


def test_half_and_double_precision_become_single(authors, tmp_path):
    for dtype in (torch.float16, torch.float64):
        state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in authors.plain("resnet18").items()}
        _, model = written(state, tmp_path)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert torch.equal(model.head.weight, state["new_fc.weight"].float())


@pytest.mark.reference
def test_non_local_blocks_of_mmaction2_without_a_bias(shapes):
    renamed = {}
    of_nl = {
        "g.0": "g.0.conv",
        "phi.0": "phi.0.conv",
        "theta": "theta.conv",
        "W.0": "conv_out.conv",
        "W.1": "conv_out.bn",
    }
    keys = shapes("mmaction2_tsm_r50")
    for name, shape in keys.items():
        place = re.match(r"backbone\.(layer2\.[02]|layer3\.[024])\.", name)
        name = name.replace(place[0], f"{place[0]}block.") if place else name
        renamed[name] = torch.zeros(shape)
    for name, shape in shapes("net_tsm_r50_nl").items():
        if found_nl := re.fullmatch(r"base_model\.(layer\d\.\d)\.nl\.(\w+(?:\.0|\.1)?)\.(\w+)", name):
            place, layer, leaf = found_nl.groups()
            if (layer, leaf) != ("W.0", "bias"):
                renamed[f"backbone.{place}.non_local_block.{of_nl[layer]}.{leaf}"] = torch.ones(
                    shape, dtype=torch.int64 if not shape else None
                )
    _, translation = find_format(Source(Path("file.pth"), renamed))
    ours = along_positions({name: renamed[key] for key, name in translation.ours.items()})
    network = read_network(ours, translation.marks)
    assert network.model == "tsm_nl_resnet50"
    assert any(sentence.startswith("similarity: ") for sentence in network.assumed)
    with torch.device("meta"):
        expected = create_model(network.model, **network.args).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {k: v.shape for k, v in expected.items()}
    block = "backbone.layer3.non_local4"
    assert (ours[f"{block}.w.bias"].abs().sum(), ours[f"{block}.w.weight"].sum()) == (0, 1024 * 512)


def test_parts_that_no_network_of_ours_has_together(authors):
    state = authors.interlaced(authors.plain("resnet18"), num_segments=8, shift_div=4)
    pooled = {name.replace("layer2.", "layer2.net."): value for name, value in state.items()}
    with pytest.raises(ValueError, match="a network with interlace, pool together is not among ours"):
        found(pooled)


def test_dense_sampling_spreads_over_64_frames(authors, tmp_path):
    imported, _ = written(
        authors.plain("resnet18"), tmp_path, sampling="dense", labels=list("abcde"), num_segments=16
    )
    assert imported.card.sampling == {"name": "dense", "num_segments": 16, "frame_stride": 4}
    assert imported.card.labels == tuple("abcde")
    assert not any("labels" in sentence for sentence in imported.assumed)
    # One clip of a video stands in its middle: (100 - 64) / 2.
    assert interlace.load(imported.path, device="cpu").sampling.test_indices(100)[0][:3] == [18, 22, 26]


def non_local_behind(state, places, *, subsampled):
    """The authors' names of a block of 1x1x1 convolutions; a max pool makes `g.0` and `phi.0` of `g` and `phi`."""
    for place in places:
        block, channels = f"base_model.{place}.nl", len(state[f"base_model.{place}.bn2.weight"])
        state = {
            key.replace(f"base_model.{place}.", f"base_model.{place}.block."): value
            for key, value in state.items()
        }
        pooled = ".0" if place in subsampled else ""
        for layer, out in ((f"g{pooled}", 1), (f"phi{pooled}", 1), ("theta", 1), ("W.0", 2)):
            inner, outer = channels * out // 2, channels // out
            state[f"{block}.{layer}.weight"] = torch.randn(inner, outer, 1, 1, 1) / outer**0.5
            state[f"{block}.{layer}.bias"] = torch.randn(inner)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state[f"{block}.W.1.{leaf}"] = torch.rand(channels)
    return state


def test_non_local_blocks_that_look_at_every_position(authors, tmp_path):
    places = ["layer2.0", "layer3.1"]
    state = non_local_behind(authors.plain("resnet18"), places, subsampled=[])
    imported, model = written(state, tmp_path)
    assert imported.card.model_args["places"] == places
    assert imported.card.model_args["subsample"] is False
    assert [model.backbone.layer2.non_local0.subsample, model.backbone.layer3.non_local1.subsample] == [
        False
    ] * 2
    phi = state["base_model.layer3.1.nl.phi.weight"]
    assert torch.equal(model.backbone.layer3.non_local1.phi.weight, phi.flatten(2))


def test_non_local_blocks_of_two_kinds(authors):
    state = non_local_behind(authors.plain("resnet18"), ["layer2.0", "layer3.1"], subsampled=["layer3.1"])
    with pytest.raises(ValueError, match=r"some subsample what they look at \(layer3.1\) and others do not"):
        found(state)


def test_every_second_block_behind_a_temporal_pool(authors, tmp_path):
    state = authors.shifted(authors.plain("resnet18"), every=2)
    state = {name.replace("layer2.", "layer2.net."): value for name, value in state.items()}
    imported, model = written(state, tmp_path)
    assert (imported.card.model, imported.card.model_args["every"]) == ("tsm_tpool_resnet18", 2)
    assert hasattr(model.backbone.layer2[1].conv1, "temporal")  # the pool stands at 0
    assert not hasattr(model.backbone.layer2[2].conv1, "temporal")
