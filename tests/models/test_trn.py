from __future__ import annotations

import pytest
import torch

from interlace.benchmark import count_macs, count_parameters
from interlace.models import create_model

CLIP = (2, 4, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "num_segments", "parameters", "macs"),
    [
        ("trn_resnet50", 8, 26_641_154, 32.71),
        ("trn_resnet50", 16, 33_554_546, 65.43),
        ("trn_single_resnet50", 8, 25_170_926, 32.70),
    ],
)
def test_the_published_size(name, num_segments, parameters, macs):
    with torch.device("meta"):
        model = create_model(name, num_classes=174, num_segments=num_segments)
    assert count_parameters(model) == parameters
    assert round(count_macs(model, (1, num_segments, 3, 224, 224)) / 1e9, 2) == macs


def test_the_classifier_of_a_frame_is_a_narrow_feature():
    model = create_model("trn_resnet18", num_classes=5, num_segments=4, bottleneck=32)
    assert (model.head.in_features, model.head.out_features) == (512, 32)
    assert model.head.weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert not model.head.bias.any()
    assert [relation.fc1.in_features for relation in model.consensus.relations] == [128, 96, 64]
    assert model.builder_args["bottleneck"] == 32
    assert model.heads() == []  # no rate of its own, as released


@pytest.mark.parametrize("name", ["trn_resnet18", "trn_single_resnet18"])
def test_it_learns_with_every_part_and_sees_the_order(name):
    model = create_model(name, num_classes=5, num_segments=4, dropout=0.0)
    torch.nn.init.normal_(model.head.weight, std=0.05)
    clip = torch.randn(CLIP)
    torch.nn.functional.cross_entropy(model(clip), torch.tensor([1, 3])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    model.eval()
    with torch.no_grad():
        assert (model(clip) - model(clip.flip(1))).abs().max() > 1e-3


def test_tuples_are_drawn_in_training_only_if_asked():
    fixed, drawn = (
        create_model("trn_resnet18", num_classes=5, num_segments=8, random_tuples=random_tuples)
        for random_tuples in (False, True)
    )
    assert drawn.builder_args["random_tuples"]
    features = torch.randn(2, 8, 512)
    for model in (fixed, drawn):
        torch.nn.init.normal_(model.head.weight)
        model.dropout.p = 0.0
    assert torch.equal(fixed.forward_head(features), fixed.forward_head(features))
    assert not torch.equal(drawn.forward_head(features), drawn.forward_head(features))
    drawn.eval()
    assert torch.equal(drawn.forward_head(features), drawn.forward_head(features))


def test_a_single_frame_has_no_relations():
    with pytest.raises(ValueError, match="num_segments=1: a relation needs at least 2 frames"):
        create_model("trn_resnet18", num_classes=5, num_segments=1)
