"""Every name of list_models builds, takes a training step, compiles in bfloat16, saves, loads and predicts."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from interlace.models import list_models

# Ensembles of BNInception are the longest by far, and their parts, and ensembles of ResNets, are among the others.
LONGEST = ("eco_enlite_bninception", "two_stream_eco_enlite_bninception", "two_stream_tsn_bninception")
LIKE_B1 = ("efficientnet_b2", "efficientnet_b3")
"""More of the same blocks."""
OF_THE_PAPERS = ("resnet18", "resnet50", "resnet101", "bninception", "mobilenetv2_100")


def is_slow(name: str) -> bool:
    """Whether it takes long, or adds nothing of ours to a network of timm: TSN leaves the blocks as they are."""
    return (
        name in LONGEST
        or name.endswith(LIKE_B1)
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
