"""Every name of list_models builds, takes a training step, compiles in bfloat16, saves, loads and predicts.

`make test` takes those whose blocks differ, the slow tier all.
"""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from interlace.models import list_models

OF_SEVERAL = ("two_stream_", "tin_en_", "tsm_en_", "eco_enlite_")
"""Their parts are among the others, and where there is one of ResNet-18, so is that."""
LIKE_ANOTHER = (
    *("_resnet26", "_resnet34", "_resnet101", "_resnet152", "_resnext101_32x8d"),
    *("_regnetx_016", "_regnety_016", "_regnety_032"),
    *("_mobilenetv2_050", "_mobilenetv2_140", "_mobilenetv3_large_100"),
    *("_efficientnet_b1", "_efficientnet_b2", "_efficientnet_b3", "_tf_efficientnet_b0"),
    "tsm_tf_efficientnetv2_s",
    *("_femto", "_pico", "_nano", "_tiny", "_small"),
)
"""Of the blocks of a network that is not in the slow tier, more or wider ones; EfficientNetV2 is there with TIN."""
OF_THE_PAPERS = ("resnet18", "resnet50", "bninception", "mobilenetv2_100")


def is_slow(name: str) -> bool:
    """Whether it takes long, is like another, or has nothing of ours: TSN leaves timm's blocks as they are."""
    return (
        (name.startswith(OF_SEVERAL) and not name.endswith("_resnet18"))
        or name.endswith(LIKE_ANOTHER)
        or (name.startswith("tsn_") and not name.endswith(OF_THE_PAPERS))
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if is_slow(name) else name for name in list_models()],
)
def test_network_does_all(name: str, network_problems: dict[str, Future[str]]) -> None:
    assert network_problems[name].result(timeout=1200) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models("*_resnet18"))
def test_it_does_with_the_default_compiler(name: str, compiled_network_problems) -> None:
    with compiled_network_problems(name) as problems:
        assert problems[name].result(timeout=1200) == ""
