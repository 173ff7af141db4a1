"""The picture of accuracy against cost: labels that cover nothing."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from interlace.plots import Disc, Panel, accuracy_against_cost
from interlace.plots.labels import leader, overlap, place_labels

INSIDE = (0.0, 0.0, 900.0, 600.0)


def test_labels_cover_neither_each_other_nor_a_disc() -> None:
    draw = random.Random(0)
    circles = [(draw.uniform(150, 750), draw.uniform(100, 500), draw.uniform(4, 20)) for _ in range(20)]
    boxes = place_labels(circles, [(80.0, 12.0)] * len(circles), INSIDE)
    assert len(boxes) == len(circles)
    shared = overlap(np.array(boxes), np.array(boxes), margin=(0.0, 0.0))
    assert shared.diagonal() == pytest.approx(80 * 12)
    assert (shared - np.diag(shared.diagonal())).max() == 0
    for left, bottom, right, top in boxes:
        assert min(left, bottom, 900 - right, 600 - top) >= 0
        for x, y, radius in circles:
            assert math.hypot(x - min(max(x, left), right), y - min(max(y, bottom), top)) >= radius


def test_a_label_at_the_right_edge_goes_to_the_left() -> None:
    ((left, _, right, _),) = place_labels([(890.0, 300.0, 5.0)], [(80.0, 12.0)], INSIDE)
    assert right < 890
    assert left > 700


def test_two_networks_at_one_place_have_two_labels() -> None:
    first, second = place_labels([(400.0, 300.0, 9.0)] * 2, [(80.0, 12.0)] * 2, INSIDE)
    assert overlap(np.array([first]), np.array([second]), margin=(0.0, 0.0)) == 0


def test_a_leader_begins_at_the_edge_of_the_disc() -> None:
    start, end = leader((0.0, 0.0, 10.0), (-5.0, 30.0, 5.0, 40.0))
    assert (start, end) == ((0.0, 10.0), (0.0, 30.0))


def test_a_picture(tmp_path: Path) -> None:
    discs = [Disc("TIN, 8", "TIN", 32.7, 45.8, 23.9), Disc("TSN, 8", "TSN", 32.7, 45.8, 23.9, hollow=True)]
    one = accuracy_against_cost([Panel("theirs", discs)], tmp_path / "new" / "one.png")
    two = accuracy_against_cost([Panel("theirs", discs), Panel("mine", discs[:1])], tmp_path / "two.png")
    heights = [int.from_bytes(file.read_bytes()[20:24], "big") for file in (one, two)]
    assert heights[1] == 2 * heights[0]


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ([], "nothing to draw"),
        ([Panel("empty", [])], "nothing to draw"),
        ([Panel("zero", [Disc("a", "b", 0.0, 50.0, 1.0)])], "logarithmic axis"),
        ([Panel("nan", [Disc("a", "b", 1.0, math.nan, 1.0)])], "logarithmic axis"),
    ],
)
def test_what_cannot_be_drawn(panels: list[Panel], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_against_cost(panels, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
