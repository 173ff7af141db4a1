from __future__ import annotations

import inspect

import pytest
import torch

from interlace.models import create_model, list_models, with_num_segments
from interlace.models.ensemble import Ensemble
from interlace.models.ensembles import ENSEMBLES, in_proportion, of_any
from interlace.temporal import TemporalInterlace


def build(name: str, **arguments) -> Ensemble:
    with torch.device("meta"):
        return create_model(name, num_classes=5, **arguments)


@pytest.mark.parametrize(
    ("name", "segments", "channels", "weights", "average"),
    [
        ("tin_en_resnet18", (8, 16), 3, [1, 1], "probabilities"),
        ("tsm_en_resnet18", (8, 16), 3, [1, 1], "logits"),
        ("eco_enlite_resnet18", (16, 20, 24, 32), 3, [1, 1, 1, 1], "logits"),
        ("two_stream_tsn_resnet18", (8,), 13, [1, 1.5], "logits"),
        ("two_stream_trn_resnet18", (8,), 13, [1, 1], "logits"),
        ("two_stream_tsm_resnet18", (8,), 13, [1, 1], "logits"),
        ("two_stream_tin_resnet18", (8,), 13, [1, 1], "probabilities"),
        ("two_stream_eco_enlite_bninception", (16, 20, 24, 32), 13, [1, 1], "logits"),
    ],
)
def test_as_published(name, segments, channels, weights, average):
    model = build(name)
    assert model.builder == name
    assert name in list_models()
    assert (model.segments, model.in_chans, model.weights, model.average) == (
        segments,
        channels,
        weights,
        average,
    )
    again = build(model.builder, **{k: v for k, v in model.builder_args.items() if k != "num_classes"})
    assert again.builder_args == model.builder_args
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
    assert model(torch.empty(2, sum(segments), channels, 32, 32, device="meta")).shape == (2, 5)


def test_every_row_is_listed():
    prefixes = {name.rpartition("_")[0] for name in list_models()}
    assert ENSEMBLES.keys() - {"ensemble"} <= prefixes


def test_the_parameters_of_the_table():
    """TIN_En has 48.6 M with 400 classes (Table 1 counts those), and 101 GMAC: twice TIN, eight and sixteen frames."""
    with torch.device("meta"):
        model = create_model("tin_en_resnet50", num_classes=400)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e6 == pytest.approx(48.6, rel=0.01)


@pytest.mark.parametrize(
    ("total", "lengths", "wanted"),
    [
        (24, (8, 16), (8, 16)),
        (3, (8, 16), (1, 2)),
        (12, (8, 16), (4, 8)),
        (23, (16, 20, 24, 32), (4, 5, 6, 8)),
        (10, (5,), (10,)),
    ],
)
def test_in_proportion(total, lengths, wanted):
    assert in_proportion(total, lengths) == wanted


@pytest.mark.parametrize(
    ("name", "total", "message"),
    [
        ("tin_en_resnet18", 8, r"num_segments=8 .* clips of 1:2, as 8 \+ 16 frames do; .* 6 and 9"),
        ("tin_en_resnet18", 1, "the nearest that does: 3"),
        ("eco_enlite_resnet18", 24, r"clips of 4:5:6:8, .*: 23 and 46"),
        ("tsm_en_resnet18", 0, "at least 1"),
    ],
)
def test_a_sum_that_is_not_in_proportion(name, total, message):
    with pytest.raises(ValueError, match=message):
        build(name, num_segments=total)


def test_arguments_reach_the_members():
    model = build("tin_en_resnet18", num_segments=3, in_chans=1, dropout=0.8, shift_div=8, weights=[1, 3])
    assert [member.dropout.p for member in model.networks] == [0.8, 0.8]
    assert model.in_chans == 1
    assert model.networks[0].backbone.layer1[0].conv1.temporal.fold == 8
    assert model.weights == [1, 3]


def test_another_number_of_frames():
    model = create_model("tin_en_resnet18", num_classes=3, num_segments=3).eval()
    longer = with_num_segments(model, 6)
    assert (longer.segments, longer.builder_args["num_segments"]) == ((2, 4), 6)
    lengths = [
        [module.num_segments for module in network.modules() if isinstance(module, TemporalInterlace)]
        for network in longer.networks
    ]
    assert lengths == [[2] * 8, [4] * 8]
    one, other = model.networks[1].backbone, longer.networks[1].backbone
    assert torch.equal(one.conv1.weight, other.conv1.weight)
    resampled = one.layer1[0].conv1.temporal.resampled_state(4)["offset_net.fc1.weight"]
    assert torch.equal(other.layer1[0].conv1.temporal.offset_net.fc1.weight, resampled)
    with pytest.raises(ValueError, match="num_segments=7 does not divide"):
        with_num_segments(model, 7)


MEMBERS = [
    {"model": "tsm_resnet18", "model_args": {"num_segments": 2}},
    {"model": "tin_en_resnet18", "model_args": {"num_segments": 6, "shift_div": 8}},
]


def test_members_that_are_ensembles_learn_several_labels_too():
    ensemble = build("ensemble", members=[{"model": "tin_en_resnet18"}], multi_label=True, num_segments=6)
    assert ensemble.networks[0].multi_label is True


def test_networks_of_any_names():
    model = build("ensemble", members=MEMBERS, weights=[2, 1], dropout=0.25, in_chans=1)
    assert (model.builder, model.segments, model.weights) == ("ensemble", (2, 2, 4), [2, 1])
    assert (model.in_chans, model.networks[0].dropout.p) == (1, 0.25)
    again = build("ensemble", **{k: v for k, v in model.builder_args.items() if k != "num_classes"})
    assert again.builder_args == model.builder_args
    assert again.networks[1].networks[0].backbone.layer1[0].conv1.temporal.fold == 8
    assert with_num_segments_on_meta(model, 16).segments == (4, 4, 8)
    shared = build("ensemble", members=MEMBERS[:1] * 2, shares_frames=True)
    assert shared.segments == (2,)
    assert with_num_segments_on_meta(shared, 5).segments == (5,)


def with_num_segments_on_meta(model: Ensemble, num_segments: int) -> Ensemble:
    arguments = {**model.builder_args, "num_segments": num_segments}
    with torch.device("meta"):
        return create_model(model.builder, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": []}, "has no members"),
        ({"members": [{"name": "tsm_resnet18"}]}, "not {'name': 'tsm_resnet18'}"),
        ({"members": [{"model": "tsm_resnet81"}]}, "there is no network 'tsm_resnet81'"),
        ({"members": [{"model": "tsm_resnet18", "model_args": {"num_classes": 4}}]}, "the members have 4"),
        ({"members": MEMBERS, "num_segments": 9}, "clips of 1:3, as 2 \\+ 6 frames do; .* 8 and 12"),
        ({"members": MEMBERS, "weights": [1]}, "1 weights for 2 networks"),
        ({}, "has no members"),
    ],
)
def test_members_that_make_no_ensemble(arguments, message):
    with pytest.raises(ValueError, match=message):
        build("ensemble", **arguments)


def test_a_name_alone_is_no_member():
    with pytest.raises(ValueError, match=r"a member of an ensemble is .*, not tsm_resnet18"):
        inspect.unwrap(of_any)(create_model, "", builder="ensemble", members=["tsm_resnet18"], num_classes=5)
