"""What the notes say is so: every number in them is counted here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import interlace
from interlace.comparison import Row
from interlace.comparison.costs import count_costs
from interlace.comparison.notes import note_for
from interlace.comparison.published import TABLE_1, Published
from interlace.comparison.recount import (
    gmac_with_a_plain_detector,
    parameters_of_kinetics,
    parameters_of_single_relations,
    parameters_with_a_plain_detector,
)
from interlace.temporal import TemporalInterlace

OPEN = {
    ("i3d_nl_resnet50", "gmac"),
    ("tin_released_resnet50", "gmac"),
    ("tin_en_resnet50", "gmac"),
}
"""What is not reproduced, and said to be not."""


def row(name: str, num_segments: int | None = None) -> Published:
    return next(row for row in TABLE_1 if row.name == name and num_segments in (None, row.num_segments))


def test_every_disagreement_is_explained_by_a_count_or_said_to_be_open(default_rows: list[Row]) -> None:
    verdicts = {
        (row.entry.name, figure): getattr(row, figure)
        for row in default_rows
        for figure in ("parameters_m", "gmac")
        if getattr(row, figure) is not None
    }
    assert {key for key, found in verdicts.items() if found.verdict == "open"} == OPEN
    assert all(
        found.note is not None for found in verdicts.values() if found.verdict in ("open", "explained")
    )
    assert verdicts["trn_resnet50", "parameters_m"].verdict == "explained"
    assert verdicts["eco_enlite_bninception", "gmac"].verdict == "equal"
    assert verdicts["tsn_bninception", "gmac"].verdict == "rounded"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tsn_bninception", "10.7"),
        ("tsn_resnet50", "24.3"),
        ("tsm_en_resnet50", "48.7"),  # the paper has twice 24.3
        ("eco_bninception", "47.5"),
        ("eco_enlite_bninception", "150"),
        ("i3d_resnet50", "28.0"),
    ],
)
def test_the_classifier_is_that_of_kinetics(name: str, parameters: str) -> None:
    digits = len(parameters.partition(".")[2])
    assert f"{parameters_of_kinetics(row(name)):.{digits}f}" == parameters


@pytest.mark.parametrize(("name", "printed"), [("trn_bninception", "18.3"), ("trn_resnet50", "31.8")])
def test_relations_with_weights_of_their_own_give_the_papers_trn(name: str, printed: str) -> None:
    assert row(name).parameters_m == printed
    assert f"{parameters_of_single_relations(row(name)):.1f}" == printed


def test_two_streams_are_twice_one() -> None:
    both, one = row("two_stream_trn_bninception"), row("trn_bninception")
    assert parameters_of_single_relations(both) == 2 * parameters_of_single_relations(one)
    assert float(both.parameters_m) == 2 * float(one.parameters_m)


def test_a_plain_detector_gives_the_papers_region_graph() -> None:
    graph = row("i3d_nl_gcn_resnet50")
    assert gmac_with_a_plain_detector(graph) == pytest.approx(303, abs=0.5)
    assert parameters_with_a_plain_detector(graph) == pytest.approx(62.2, rel=0.005)


def test_non_local_blocks_cost_more_than_the_paper_has() -> None:
    def gmac(name: str) -> float:
        return count_costs(name, num_classes=174, image_size=224).gmac

    convolutions = 2 * 4 * 16 * 28 * 28 * 512 * 256 + 3 * 4 * 16 * 14 * 14 * 1024 * 512
    products = 2 * 2 * (16 * 28**2) * (16 * 14**2) * 256 + 3 * 2 * (16 * 14**2) * (16 * 7**2) * 512
    assert (convolutions / 1e9, products / 1e9) == pytest.approx((33, 48), abs=0.5)
    assert gmac("i3d_nl_resnet50") - gmac("i3d_resnet50") == pytest.approx((convolutions + products) / 1e9)
    assert gmac("i3d_light_nl_resnet50") - gmac("i3d_light_resnet50") == pytest.approx(11, abs=0.5)


def test_what_tin_multiplies_is_far_from_a_billion() -> None:
    with torch.device("meta"):
        model = interlace.create_model("tin_resnet50", num_classes=174, num_segments=8).eval()
    products = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
        nonlocal products
        assert isinstance(module, TemporalInterlace)
        frames = inputs[0]
        products += 3 * frames.shape[0] * module.fold * frames.shape[2] * frames.shape[3]

    for module in model.modules():
        if isinstance(module, TemporalInterlace):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.empty(1, 8, 3, 224, 224, device="meta"))
    assert products / 1e9 == pytest.approx(0.03, abs=0.005)
    counts = [
        count_costs(f"{method}_resnet50", num_classes=174, image_size=224).gmac for method in ("tin", "tsm")
    ]
    assert counts[0] - counts[1] == pytest.approx(0.0002, abs=0.00005)


def test_the_special_note_comes_before_the_general_one() -> None:
    assert note_for(row("trn_resnet50"), "parameters_m").recount is parameters_of_single_relations  # type: ignore[union-attr]
    assert note_for(row("tsm_resnet50"), "parameters_m").recount is parameters_of_kinetics  # type: ignore[union-attr]
    assert note_for(row("tsm_resnet50"), "gmac") is None
