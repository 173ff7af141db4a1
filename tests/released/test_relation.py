"""TRN: relations on ResNet, on BNInception, and in MMAction2's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from interlace.checkpoints import load_checkpoint
from interlace.models import create_model
from interlace.models.bninception_weights import from_published
from interlace.released import import_released
from interlace.released.formats import find_format
from interlace.released.network import read_network
from interlace.released.reading import Source

STEM = ("conv1_7x7_s2", "conv2_3x3_reduce", "conv2_3x3")
TWO_BRANCHES = ("3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_1", "double_3x3_2")
FOUR_BRANCHES = ("1x1", *TWO_BRANCHES, "pool_proj")
BRANCHES = {"3a": FOUR_BRANCHES, "3b": FOUR_BRANCHES, "3c": TWO_BRANCHES}
BRANCHES |= dict.fromkeys(("4a", "4b", "4c", "4d"), FOUR_BRANCHES) | {"4e": TWO_BRANCHES}
BRANCHES |= dict.fromkeys(("5a", "5b"), FOUR_BRANCHES)
LAYERS = (*STEM, *(f"inception_{module}_{branch}" for module, names in BRANCHES.items() for branch in names))
"""The convolutions of Caffe's BNInception, each with a batch norm of its name and `_bn` behind it."""


def without_head(state):
    return {name: value for name, value in state.items() if "new_fc" not in name}


def relations(sizes, hidden, classes, prefix):
    """One or several relations under their released names."""
    state = {}
    for number, size in enumerate(sizes):
        name = f"{prefix}.{number}" if prefix.endswith("scales") else prefix
        state |= {f"{name}.1.weight": torch.randn(hidden, size), f"{name}.1.bias": torch.randn(hidden)}
        state |= {f"{name}.3.weight": torch.randn(classes, hidden), f"{name}.3.bias": torch.randn(classes)}
    return state


def written(state, folder, **options):
    torch.save(state, folder / "released.pth")
    imported = import_released(folder / "released.pth", folder / "ours.safetensors", **options)
    return imported, load_checkpoint(imported.path)[0]


@pytest.mark.reference
def test_multi_scale_relations_are_the_recorded_ones(authors, shapes, recipe, reference_dir, tmp_path):
    consensus = {f"consensus.{name}": recipe(name, shape) for name, shape in shapes("trn_multi_t3").items()}
    head = {"new_fc.weight": torch.randn(32, 512), "new_fc.bias": torch.randn(32)}
    imported, model = written({**without_head(authors.plain("resnet18")), **head, **consensus}, tmp_path)
    assert (imported.format, imported.card.model) == ("trn", "trn_resnet18")
    told = {key: imported.card.model_args[key] for key in ("num_classes", "num_segments", "bottleneck")}
    assert told == {"num_classes": 11, "num_segments": 3, "bottleneck": 32}
    assert imported.card.sampling["num_segments"] == 3
    recorded = np.load(reference_dir / "trn_multi_t3.npz")
    with torch.no_grad():
        out = model.consensus(torch.from_numpy(recorded["x"]).float())
    np.testing.assert_allclose(out, recorded["out"], atol=1e-5, rtol=0)


@pytest.mark.reference
def test_a_single_relation(authors, shapes, recipe, tmp_path):
    consensus = {f"consensus.{name}": recipe(name, shape) for name, shape in shapes("trn_single_t8").items()}
    head = {"new_fc.weight": torch.randn(32, 512), "new_fc.bias": torch.randn(32)}
    imported, model = written({**without_head(authors.plain("resnet18")), **head, **consensus}, tmp_path)
    assert imported.card.model == "trn_single_resnet18"
    assert (imported.card.model_args["num_classes"], imported.card.model_args["num_segments"]) == (11, 8)
    x = torch.randn(2, 8, 32)
    first, last = (
        [consensus[f"consensus.classifier.{i}.{leaf}"].float() for leaf in ("weight", "bias")] for i in (1, 3)
    )
    expected = F.linear(F.relu(F.linear(F.relu(x.flatten(1)), *first)), *last)
    with torch.no_grad():
        torch.testing.assert_close(model.consensus(x), expected, atol=1e-5, rtol=0)


@pytest.mark.reference
def test_relations_of_mmaction2(shapes):
    state = {name: torch.zeros(shape) for name, shape in shapes("mmaction2_tsn_r50").items()}
    state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"] = torch.randn(24, 2048), torch.randn(24)
    state |= relations([4 * 24, 3 * 24, 2 * 24], 256, 9, "cls_head.consensus.fc_fusion_scales")
    known, translation = find_format(Source(Path("file.pth"), state))
    ours = {name: state[key] for key, name in translation.ours.items()}
    network = read_network(ours, translation.marks)
    assert (known.name, network.model) == ("mmaction2", "trn_resnet50")
    assert network.args == {"num_classes": 9, "num_segments": 4, "bottleneck": 24}
    with torch.device("meta"):
        expected = create_model(network.model, **network.args).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {k: v.shape for k, v in expected.items()}
    pairs = state["cls_head.consensus.fc_fusion_scales.2.1.weight"]
    assert torch.equal(ours["consensus.relations.2.fc1.weight"], pairs)


def published(network):
    """A BNInception's weights under their Caffe names, as written before PyTorch 0.4.1, for several GPUs."""
    weights, state = network.backbone.state_dict(), {}
    for layer in LAYERS:
        of_norm = [f"{layer}_bn.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")]
        for name in (f"{layer}.weight", f"{layer}.bias", *of_norm):
            ours = next(iter(from_published({name: torch.zeros(1, 1, 1, 1)})))
            state[f"module.base_model.{name}"] = weights[ours]
    return state


@pytest.mark.parametrize("modality", ["rgb", "flow", "rgb_diff"])
def test_bninception_sees_bgr_of_0_to_255(modality, tmp_path):
    network = create_model("trn_bninception", num_classes=6, num_segments=3, modality=modality, bottleneck=16)
    weights = network.state_dict()
    first = weights["backbone.conv1.conv.weight"]
    bgr = first if modality == "flow" else first.unflatten(1, (-1, 3)).flip(2).flatten(1, 2)
    state = published(network)
    state["module.base_model.conv1_7x7_s2.weight"] = bgr
    state |= {"module.new_fc.weight": weights["head.weight"], "module.new_fc.bias": weights["head.bias"]}
    for scale in range(2):
        for ours, theirs in (("fc1", 1), ("fc2", 3)):
            for leaf in ("weight", "bias"):
                released = f"module.consensus.fc_fusion_scales.{scale}.{theirs}.{leaf}"
                state[released] = weights[f"consensus.relations.{scale}.{ours}.{leaf}"]
    imported, model = written({"epoch": 120, "state_dict": state}, tmp_path)
    assert (imported.format, imported.card.model) == ("trn", "trn_bninception")
    assert imported.card.model_args["bottleneck"] == 16
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    mean, std = imported.card.preprocessing["mean"], imported.card.preprocessing["std"]
    assert std == pytest.approx([1 / 255] * network.in_chans)
    if modality == "rgb":
        assert mean == pytest.approx([128 / 255, 117 / 255, 104 / 255])
    elif modality == "flow":
        assert mean == pytest.approx([128 / 255] * 10)


def test_plain_bninception_may_have_been_shifted(tmp_path):
    network = create_model("tsn_bninception", num_classes=6, num_segments=3)
    state = published(network)
    state |= {"module.new_fc.weight": torch.randn(6, 1024), "module.new_fc.bias": torch.randn(6)}
    imported, _ = written(state, tmp_path)
    assert (imported.format, imported.card.model) == ("tsm", "tsn_bninception")
    assert any("TSM's BNInception has the same names" in sentence for sentence in imported.assumed)
