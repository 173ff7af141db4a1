"""Which format a file is in, and what is said of one that is in none."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from interlace.models import create_model
from interlace.released import NAMES, ReleasedError, import_released
from interlace.released.formats import find_format
from interlace.released.reading import Source

pytestmark = pytest.mark.reference

FORMAT_OF = {
    "net_tin_r50": "tin",
    "net_tin_tsm_twopath_r50": "tin",
    "net_tsm_r50": "tsm",
    "net_tsn_r50": "tsm",
    "net_tsm_mobilenetv2": "tsm-mobilenetv2",
    "net_mobilenetv2_online": "tsm-online",
    "mmaction2_tin_r50": "mmaction2",
}


@pytest.fixture
def source(shapes):
    """A file's content, without its sizes."""

    def make(case: str, *entries: str) -> Source:
        return Source(
            Path(f"{case}.pth"), {name: torch.zeros(()) for name in shapes(case)}, frozenset(entries)
        )

    return make


@pytest.mark.parametrize("case", FORMAT_OF)
def test_each_format_is_told_by_its_names(case, source):
    assert find_format(source(case))[0].name == FORMAT_OF[case]
    assert find_format(source(case), FORMAT_OF[case])[0].name == FORMAT_OF[case]


@pytest.mark.parametrize("case", FORMAT_OF)
def test_a_wrong_format_is_an_error_that_tells_the_right_one(case, source):
    for name in NAMES:
        also = name == "x-temporal" and case.startswith("net_t") and "mobile" not in case  # of the same names
        both = name == "tsm" and case == "net_tin_tsm_twopath_r50"
        if name == FORMAT_OF[case] or also or both:
            continue
        with pytest.raises(ReleasedError, match=f"it looks like {FORMAT_OF[case]}: leave --format out"):
            find_format(source(case), name)


@pytest.mark.parametrize("case", ["net_tin_r50", "net_tsm_r50", "net_tsn_r50"])
def test_x_temporal_is_told_by_its_training_state(case, source):
    assert find_format(source(case, "epoch", "optimizer", "lr_scheduler"))[0].name == "x-temporal"
    assert find_format(source(case), "x-temporal")[0].name == "x-temporal"


def test_what_is_left_over_is_listed_in_groups_with_its_number(source):
    with pytest.raises(ReleasedError) as error:
        find_format(source("net_tsm_r50"), "trn")
    assert str(error.value).splitlines() == [
        "net_tsm_r50.pth: 16 of its 320 weights are not those of a checkpoint of trn; "
        "it looks like tsm: leave --format out, or give that",
        "  16 x base_model.layer*.*.conv*.net.weight, e.g. base_model.layer1.0.conv1.net.weight",
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: timm.create_model("resnet18"), r"plain image network .*--pretrained FILE`\n  16 x "),
        (lambda: timm.create_model("vit_tiny_patch16_224"), "of another kind of network"),
        (lambda: timm.create_model("densenet121"), "in none of the known formats"),
        (lambda: create_model("tin_resnet18", num_classes=5), "they are our own"),
    ],
)
def test_weights_of_other_networks(state, message, tmp_path):
    with torch.device("meta"):
        weights = {
            name: torch.zeros(value.shape, device="cpu") for name, value in state().state_dict().items()
        }
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(ReleasedError, match=message) as error:
        import_released(tmp_path / "other.pth", tmp_path / "ours.safetensors")
    assert f"of its {len(weights)} " in str(error.value)


@pytest.mark.parametrize("case", FORMAT_OF)
def test_the_nearest_format_is_named_where_one_weight_is_too_many(case, source):
    state = {**source(case).state, "ema.decay": torch.zeros(())}
    nearest = f"1 of its {len(state)} weights are not those of its nearest format, {FORMAT_OF[case]}; "
    with pytest.raises(ReleasedError, match=rf"{nearest}.*\n  1 x ema.decay"):
        find_format(Source(Path("file.pth"), state))


def test_names_of_two_formats_at_once(source):
    mixed = {**source("net_tsm_r50").state, **source("mmaction2_tsm_r50").state}
    with pytest.raises(ReleasedError, match="320 of its 640 weights are not those of its nearest format"):
        find_format(Source(Path("mixed.pth"), mixed))


def test_two_names_of_one_weight(source):
    state = source("net_tsm_r50").state
    state["base_model.layer1.0.conv1.weight"] = torch.zeros(())
    with pytest.raises(
        ReleasedError, match=r"names that mean the same weight:\n  1 x .*net.weight.*\n  1 x "
    ):
        find_format(Source(Path("double.pth"), state))


def test_an_unknown_format():
    with pytest.raises(ReleasedError, match="'timm'; known are x-temporal, tin, trn, tsm, tsm-mobilenetv2"):
        find_format(Source(Path("file.pth"), {}), "timm")
