from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch

import interlace
from interlace.models import BACKBONES, create_model, list_models, tsm, with_num_segments
from interlace.models.create import parse_name
from interlace.temporal import TemporalInterlace, TemporalShift

CLIP = (2, 4, 3, 64, 64)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_listed_backbone_takes_the_module_that_asks_most(backbone):
    with torch.device("meta"):
        model = create_model(f"tin_{backbone}", num_classes=5, num_segments=4)
        assert model(torch.empty(CLIP)).shape == (2, 5)


@pytest.mark.parametrize(
    "name",
    [
        "tsn_resnet18",
        "tsm_resnet18",
        "tin_resnet18",
        "tin_mobilenetv2_100",
        "tin_regnety_016",
        "tin_convnext_atto",
    ],
)
def test_learns_with_every_part(name):
    model = create_model(name, num_classes=5, num_segments=4, dropout=0.0)
    torch.nn.init.normal_(model.head.weight)
    torch.nn.functional.cross_entropy(model(torch.randn(CLIP)), torch.tensor([1, 3])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("method", ["tsm", "tin"])
def test_order_matters_to_all_but_tsn(method):
    clip = torch.randn(CLIP)
    for name, differs in ((f"{method}_resnet18", True), ("tsn_resnet18", False)):
        # timm starts residual branches at zero, where nothing can matter
        model = create_model(name, num_classes=5, num_segments=4, zero_init_last=False).eval()
        torch.nn.init.normal_(model.head.weight)
        with torch.no_grad():
            difference = (model(clip) - model(clip.flip(1))).abs().max().item()
        assert (difference > 1e-3) == differs


def test_the_published_placement_of_resnet101():
    with torch.device("meta"):
        counts = {
            name: sum(
                isinstance(m, TemporalShift | TemporalInterlace)
                for m in create_model(name, num_classes=5).modules()
            )
            for name in ("tsm_resnet50", "tsm_resnet101", "tin_resnet18", "tin_resnet50", "tin_resnet101")
        }
    assert counts == {
        "tsm_resnet50": 16,
        "tsm_resnet101": 2 + 2 + 12 + 2,
        "tin_resnet18": 8,
        "tin_resnet50": 16,
        "tin_resnet101": 33,
    }


@pytest.mark.parametrize(("num_segments", "own"), [(8, 31_008), (16, 34_464)])
def test_the_number_of_parameters_that_tin_adds(num_segments, own):
    with torch.device("meta"):
        tin, tsn = (
            create_model(f"{m}_resnet50", num_classes=174, num_segments=num_segments) for m in ("tin", "tsn")
        )
    count = lambda model: sum(p.numel() for p in model.parameters())  # noqa: E731
    assert count(tin) - count(tsn) == own
    assert round(count(tsn) / 1e6, 2) == 23.86


def test_arguments_reach_the_modules():
    model = create_model(
        "tin_resnet18",
        num_classes=3,
        num_segments=16,
        shift_div=8,
        num_groups=1,
        mirrored=False,
        offset_range=8.0,
        initial_offset=1.0,
    )
    module = model.backbone.layer1[0].conv1.temporal
    assert (module.fold, module.num_segments, module.mirrored) == (8, 16, False)
    assert module.offset_net.offset_range == 8.0
    shift = (
        create_model("tsm_resnet18", num_classes=3, fold_div=4, mode="causal")
        .backbone.layer4[1]
        .conv1.temporal
    )
    assert (shift.fold_div, shift.mode, shift.num_segments) == (4, "causal", 8)


def test_the_head_and_dropout():
    model = create_model("tsn_resnet18", num_classes=50, dropout=0.8)
    assert model.dropout.p == 0.8
    assert model.head.bias.tolist() == [0.0] * 50
    assert model.head.weight.std().item() == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tin_resnet5", "tin_resnet50"),
        ("tni_resnet50", "tin_resnet50"),
        ("resnet50", "tsm_resnet50"),
        ("tin", "METHOD_BACKBONE"),
        ("", "METHOD_BACKBONE"),
        ("tsm_mobilenet_v2", "tsm_mobilenetv2_100"),
        ("tsn_bn_inception", "tsn_bninception"),
        ("eco_enlite_bninceptoin", "eco_enlite_bninception"),
    ],
)
def test_an_unknown_name_gives_the_nearest(name, hint):
    with pytest.raises(ValueError, match=hint):
        create_model(name, num_classes=3)


def test_an_unknown_argument_is_named():
    with pytest.raises(ValueError, match="shift_dib"):
        create_model("tin_resnet18", num_classes=3, shift_dib=4)
    with pytest.raises(ValueError, match="'before' is unknown"):
        inspect.unwrap(tsm)("resnet18", position="before")


@pytest.mark.parametrize("number", [{"num_classes": 0}, {"num_classes": 3, "num_segments": -1}])
def test_a_number_below_one_is_named(number):
    with pytest.raises(ValueError, match=f"{list(number)[-1]}={list(number.values())[-1]}.* at least 1"):
        create_model("tin_resnet18", **number)


def test_print_shows_the_temporal_modules():
    with torch.device("meta"):
        shown = str(create_model("tin_resnet18", num_classes=3, num_segments=4))
    assert "fold=16, num_segments=4, num_groups=2, mirrored=True, offset_range=3.0" in shown


def test_an_alias():
    with torch.device("meta"):
        assert create_model("tin_resnext50", num_classes=3).builder == "tin_resnext50_32x4d"


def test_list_models():
    assert "tin_resnet50" in interlace.list_models()
    assert list_models("tin_mobilenet*") == sorted(list_models("tin_mobilenet*"))
    assert {f"{method}_{name}" for method in ("tsn", "tsm", "tin") for name in BACKBONES} <= set(
        list_models()
    )
    assert {"tin_en_resnet50", "two_stream_tsm_resnet50"} <= set(list_models("*_resnet50"))
    assert list_models("nothing*") == []


def test_the_builder_and_its_arguments_build_it_again():
    model = create_model(
        "tsm_resnet18", num_classes=3, in_chans=1, num_segments=4, fold_div=4, drop_path_rate=0.1
    )
    again = create_model(model.builder, **model.builder_args)
    assert again.builder_args == model.builder_args
    again.load_state_dict(model.state_dict())
    assert again.mean == model.mean == pytest.approx((0.449,), abs=1e-3)


def test_mean_and_std():
    model = create_model("tsn_resnet18", num_classes=3)
    assert model.mean == (0.485, 0.456, 0.406)
    assert model.std == (0.229, 0.224, 0.225)
    model = create_model("tsn_resnet18", num_classes=3, mean=[0.5] * 3, std=(0.25, 0.5, 0.5))
    assert (model.mean, model.std) == ((0.5, 0.5, 0.5), (0.25, 0.5, 0.5))
    with pytest.raises(ValueError, match="in_chans=1"):
        create_model("tsn_resnet18", num_classes=3, mean=[0.5] * 3, in_chans=1)


@pytest.mark.parametrize("method", ["tsn", "tsm", "tin"])
def test_another_number_of_frames(method):
    model = create_model(f"{method}_resnet18", num_classes=3, num_segments=4).eval()
    with pytest.raises(ValueError, match=r"6 frames.*num_segments=4.*with_num_segments\(model, 6\)"):
        model(torch.zeros(2, 6, 3, 64, 64))
    longer = with_num_segments(model, 6)
    assert longer(torch.zeros(2, 6, 3, 64, 64)).shape == (2, 3)
    assert not longer.training
    assert torch.equal(longer.backbone.conv1.weight, model.backbone.conv1.weight)
    back = with_num_segments(model, 4)
    clip = torch.randn(CLIP)
    torch.testing.assert_close(back(clip), model(clip))


@pytest.mark.parametrize("method", ["trn", "trn_single"])
def test_relations_are_of_one_number_of_frames(method):
    model = create_model(f"{method}_resnet18", num_classes=3, num_segments=4)
    with pytest.raises(
        ValueError, match=rf"{method}_resnet18 has weights .* \(consensus\..*num_segments=4; train one .*=3"
    ):
        with_num_segments(model, 3)


@pytest.mark.parametrize("name", ["tsm_tpool_resnet18", "rtcn_resnet18", "i3d_light_resnet18"])
def test_other_numbers_of_frames_where_these_are_pooled_or_weighed(name):
    model = create_model(name, num_classes=3, num_segments=4).eval()
    longer = with_num_segments(model, 6)
    assert longer.num_segments == 6
    assert longer(torch.zeros(1, 6, 3, 32, 32)).shape == (1, 3)
    own = {key for key, value in model.state_dict().items() if value.shape != longer.state_dict()[key].shape}
    assert all(key.endswith(".temporal.weight") for key in own)


def test_the_longest_name_of_a_method_counts():
    assert parse_name("two_stream_tsm_resnet50") == ("two_stream_tsm", "resnet50")
    assert parse_name("tin_en_resnet18") == ("tin_en", "resnet18")
    assert parse_name("tin_resnet18") == ("tin", "resnet18")
    with pytest.raises(ValueError, match="did you mean two_stream_tsm_resnet50"):
        parse_name("two_stream_tsm_resnet5")


def test_channels_last_and_bf16():
    model = create_model("tin_resnet18", num_classes=3, num_segments=4).eval()
    torch.nn.init.normal_(model.head.weight)
    clip = torch.randn(CLIP)
    with torch.no_grad():
        wanted = model(clip)
        model.to(memory_format=torch.channels_last)
        torch.testing.assert_close(model(clip), wanted, atol=1e-4, rtol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(clip)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), wanted, atol=0.05 * wanted.abs().max().item(), rtol=0)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiles_as_one_graph(backend):
    """In a process of its own, as the shape checks of the test run cannot be compiled."""
    code = f"""
import torch, interlace
torch.manual_seed(0)
model = interlace.create_model("tin_resnet18", num_classes=3, num_segments=4, zero_init_last=False)
clip = torch.randn(1, 4, 3, 64, 64)
compiled = torch.compile(model.eval(), fullgraph=True, backend={backend!r})
with torch.no_grad():
    torch.testing.assert_close(compiled(clip), model(clip), atol=1e-4, rtol=1e-4)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_deviation_of_zero():
    with pytest.raises(ValueError, match=r"std=\(0.2, 0.0, 0.2\): preprocessing divides by it"):
        create_model("tsn_resnet18", num_classes=3, std=[0.2, 0.0, 0.2])


def test_a_free_temporal_convolution_takes_clips_of_any_length():
    model = create_model("tcn_resnet18", num_classes=3, num_segments=4)
    longer = with_num_segments(model, 6)
    old, new = (one.backbone.layer1[0].conv1.temporal for one in (model, longer))
    assert torch.equal(new.kernel, old.kernel)
    assert (old.num_segments, new.num_segments) == (4, 6)
