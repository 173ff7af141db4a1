from __future__ import annotations

import json
import re

import pytest
import torch

from interlace.models import create_model, with_num_segments
from interlace.models.backbone import TemporalConv2d
from interlace.models.model import VideoModel
from interlace.temporal import TemporalPool, TemporalShift

CLIP = (2, 4, 3, 64, 64)


def built(name: str, **arguments: object) -> VideoModel:
    with torch.device("meta"):
        return create_model(name, num_classes=174, **arguments)


def shifts(model: VideoModel) -> dict[str, int]:
    """The convolutions and blocks that see shifted frames, and of how many frames a clip is there."""
    return {
        name.replace(".temporal", ".").rstrip("."): module.num_segments
        for name, module in model.backbone.named_modules()
        if isinstance(module, TemporalShift)
    }


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("tsm_resnet50", "net_tsm_r50"),
        ("tsm_resnet101", "net_tsm_r101"),  # every second block
        ("tsm_in_place_resnet50", "net_tsm_r50_block"),
        ("tsm_two_conv_resnet50", "net_tin_tsm_twopath_r50"),
        ("tsm_tpool_resnet50", "net_tsm_r50_tpool"),
    ],
)
def test_the_places_and_the_names_of_the_released_networks(reference_dir, name, case):
    shapes = json.loads((reference_dir / f"{case}_keys.json").read_text())
    released = {re.sub(r"^base_model\.", "backbone.", key): shape for key, shape in shapes.items()}
    if case.endswith("tpool"):  # there the pool wraps the stage
        released = {key.replace("layer2.net.", "layer2."): shape for key, shape in released.items()}
    model = built(name)
    wrapped = {key.removeprefix("backbone.").partition(".net.")[0] for key in released if ".net." in key}
    assert shifts(model).keys() == wrapped
    plain = {
        key.replace(".net.", ".").replace("new_fc.", "head."): tuple(shape) for key, shape in released.items()
    }
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == plain


@pytest.mark.reference
def test_the_ten_blocks_of_the_released_mobilenetv2(reference_dir):
    shapes = json.loads((reference_dir / "net_tsm_mobilenetv2_keys.json").read_text())
    wrapped = sorted(shape[0] for key, shape in shapes.items() if re.search(r"\.0\.net\.weight$", key))
    for name in ("tsm_mobilenetv2_100", "tsm_causal_mobilenetv2_100"):
        model = built(name)
        convs = [model.backbone.get_submodule(place) for place in shifts(model)]
        assert sorted(conv.out_channels for conv in convs) == wrapped
    assert len(wrapped) == 10


def test_the_other_positions_and_folds():
    assert shifts(built("tsm_two_conv_resnet101")).keys() == {
        f"layer{stage}.{block}.conv{conv}"
        for stage, blocks in enumerate((3, 4, 23, 3), 1)
        for block in range(blocks)
        for conv in (1, 2)
    }
    model = built("tsm_tpool_resnet18", fold_div=4)
    assert {m.fold_div for m in model.modules() if isinstance(m, TemporalShift)} == {4}


@pytest.mark.parametrize(("num_segments", "halved"), [(8, 4), (5, 3), (1, 1)])
def test_the_temporal_pool_halves_the_clip_before_the_second_stage(num_segments, halved):
    model = built("tsm_tpool_resnet18", num_segments=num_segments)
    assert shifts(model) == {
        f"layer{stage}.{block}.conv1": num_segments if stage == 1 else halved
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
    }
    assert isinstance(model.backbone.layer2[0], TemporalPool)
    clip = torch.empty(2, num_segments, 3, 64, 64, device="meta")
    assert model.forward_features(clip).shape == (2, halved, 512)
    assert model(clip).shape == (2, 174)


def test_the_pooled_network_is_tsm_of_all_frames_and_then_of_half_of_them():
    pooled = create_model("tsm_tpool_resnet18", num_classes=3, num_segments=6, zero_init_last=False).eval()
    long, short = (create_model("tsm_resnet18", num_classes=3, num_segments=n).eval() for n in (6, 3))
    for model in (long, short):
        model.load_state_dict(pooled.state_dict())
    frames = torch.randn(12, 3, 64, 64)
    with torch.no_grad():
        got = pooled.backbone(frames)
        x = long.backbone.layer1(torch.nn.Sequential(*list(long.backbone.children())[:4])(frames))
        x = TemporalPool(6)(x)
        for stage in (short.backbone.layer2, short.backbone.layer3, short.backbone.layer4):
            x = stage(x)
        wanted = short.backbone.global_pool(x)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_a_pool_needs_a_second_stage_that_is_a_sequence():
    with pytest.raises(ValueError, match="RegStage is not a sequence"):
        create_model("tsm_tpool_regnetx_008", num_classes=3)


@pytest.mark.parametrize("name", ["tsm_tpool_resnet18", "tsm_in_place_resnet18", "tsm_causal_resnet18"])
def test_another_number_of_frames(name):
    model = create_model(name, num_classes=3, num_segments=4, zero_init_last=False).eval()
    torch.nn.init.normal_(model.head.weight, std=0.05)
    longer = with_num_segments(model, 7)
    assert longer(torch.zeros(2, 7, 3, 64, 64)).shape == (2, 3)
    clip = torch.randn(CLIP)
    torch.testing.assert_close(with_num_segments(longer, 4)(clip), model(clip))


def test_the_causal_network_never_sees_the_future():
    model = create_model("tsm_causal_mobilenetv2_100", num_classes=3, num_segments=4).eval()
    clip = torch.randn(CLIP)
    later = clip.clone()
    later[:, 2] += 1
    with torch.no_grad():
        changed = (model.forward_features(clip) - model.forward_features(later)).abs().amax((0, 2))
    assert (changed > 1e-4).tolist() == [False, False, True, True]


def test_in_a_branch_or_beside_the_block():
    """In the residual position a shift stands inside its convolution, in place beside its block."""
    model = built("tsm_two_conv_resnet18")
    assert sum(isinstance(m, TemporalConv2d) for m in model.modules()) == 16
    model = built("tsm_in_place_resnet18")
    assert list(dict(model.backbone.layer3.named_children())) == ["temporal0", "0", "temporal1", "1"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("tsm_resnet18", {"every": 0}, "every=0; it is 1 for every block"),
        ("tsm_resnet18", {"every": -1}, "every=-1; it is 1 for every block"),
        ("tsm_in_place_resnet18", {"every": -1}, "every=-1; it is 1 for every block"),
        ("tsm_tpool_resnet18", {"every": 0}, "every=0; it is 1 for every block"),
        ("tsm_resnet18", {"num_convs": 0}, "num_convs=0; the branches of resnet18 have 1 to 2 convolutions"),
        ("tsm_two_conv_convnext_atto", {}, "num_convs=2; the branches of convnext_atto have 1 to 1"),
        (
            "tsm_in_place_resnet18",
            {"num_convs": 2},
            "num_convs=2, but in place the shift stands before whole",
        ),
    ],
)
def test_places_that_the_network_does_not_have(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        built(name, **arguments)
