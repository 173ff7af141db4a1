"""The typed figures: spot checks against the printed tables, and that each is explained or equal."""

from __future__ import annotations

import pytest

from interlace.comparison.agreement import agreement
from interlace.comparison.costs import Costs, count_costs
from interlace.comparison.published import FROM_THE_SLIDES, TABLE_1, Accuracy, Published, rounds_to
from interlace.models import list_models

ROWS = (*TABLE_1, *FROM_THE_SLIDES)


def row(title: str, frames: str) -> Published:
    (found,) = [row for row in ROWS if (row.title, row.frames) == (title, frames)]
    return found


def test_the_table_has_the_rows_of_table_1() -> None:
    assert len(TABLE_1) == 18
    assert [row.title for row in TABLE_1[-3:]] == ["TIN", "TIN", "TIN ensemble"]
    assert {row.name for row in ROWS} <= set(list_models())


@pytest.mark.parametrize(
    ("title", "frames", "gmac", "parameters_m", "paper", "slides"),
    [
        ("TSN BNInception", "8", "16", "10.7", (19.5, None), None),
        ("TRN", "8", "33", "31.8", (38.9, 68.1), None),
        ("ECO", "16", "64", "47.5", (41.4, None), None),
        ("ECO EnLite RGB+Flow", "92+92", None, "300", (49.5, None), None),
        ("NL I3D + GCN", "32 x 2 clips", "303", "62.2", (46.1, 76.8), None),
        ("TSM", "8", "33", "24.3", (43.4, 73.2), (45.6, 74.2)),
        ("TSM ensemble", "8+16", "98", "48.6", (46.8, 76.1), (49.7, 78.5)),
        ("TSM RGB+Flow", "16+16", None, "48.6", None, (52.6, 81.9)),
        ("TIN", "16", "67", "24.3", (47.0, 76.5), None),
        ("TIN ensemble", "8+16", "101", "48.6", (49.6, 78.3), None),
    ],
)
def test_rows_are_as_printed(
    title: str,
    frames: str,
    gmac: str | None,
    parameters_m: str,
    paper: tuple[float, float | None] | None,
    slides: tuple[float, float | None] | None,
) -> None:
    found = row(title, frames)
    assert (found.gmac, found.parameters_m) == (gmac, parameters_m)
    assert found.paper == (Accuracy(*paper) if paper else None)
    assert found.slides == (Accuracy(*slides) if slides else None)


def test_only_the_i3d_are_of_two_clips() -> None:
    assert {row.name for row in ROWS if row.clips == 2} == {
        "i3d_resnet50",
        "i3d_nl_resnet50",
        "i3d_nl_gcn_resnet50",
    }


@pytest.mark.parametrize(
    ("value", "printed", "same"),
    [(24.349, "24.3", True), (24.351, "24.3", False), (150.4, "150", True), (16.25, "16", True)],
)
def test_rounding_goes_by_the_printed_digits(value: float, printed: str, same: bool) -> None:
    assert rounds_to(value, printed) is same


def test_verdicts() -> None:
    tsn, ours = row("TSN", "8"), {"segments": (8,), "in_chans": 3, "modality": "rgb"}
    costs = Costs(**ours, gmac=32.4, parameters_m=24.1)  # type: ignore[arg-type]
    assert agreement(tsn, "parameters_m", costs).verdict == "equal"  # type: ignore[union-attr]
    assert agreement(tsn, "gmac", costs).verdict == "open"  # type: ignore[union-attr]
    near = Costs(**ours, gmac=32.6, parameters_m=23.9)  # type: ignore[arg-type]
    assert agreement(tsn, "gmac", near).verdict == "rounded"  # type: ignore[union-attr]
    assert agreement(tsn, "parameters_m", near).verdict == "explained"  # type: ignore[union-attr]
    assert agreement(row("TRN RGB+Flow BNInception", "8+8"), "gmac", near) is None


def test_an_explanation_that_does_not_give_the_figure_is_none() -> None:
    """A recount is held against the paper's figure, whatever the note says."""
    wrong = Published("TSN", "8", "tsn_resnet50", "33", "29.9", Accuracy(19.7), num_segments=8)
    found = agreement(wrong, "parameters_m", Costs((8,), 3, "rgb", 32.7, 23.86))
    assert found is not None
    assert (found.verdict, round(found.recount or 0, 2)) == ("open", 24.33)


def test_costs_of_a_network() -> None:
    assert count_costs("tsm_mobilenetv2_100", num_classes=174, image_size=224) == Costs(
        segments=(8,), in_chans=3, modality="rgb", gmac=2.397735936, parameters_m=2.446766
    )
    both = count_costs("two_stream_tsn_resnet18", num_classes=5, image_size=32, num_segments=4)
    assert (both.frames, both.in_chans, both.modality) == ("4", 13, "rgb_flow")
