from __future__ import annotations

import pytest
import torch

from interlace.export.grid_regions import grid_features, reading_points
from interlace.models.region_graph import region_features
from interlace.models.regions import GridProposals


@pytest.mark.parametrize("num_boxes", [1, 3, 10])
@pytest.mark.parametrize(
    ("frame_size", "map_size"), [((64, 48), (4, 3)), ((70, 113), (5, 8)), ((32, 32), (1, 1))]
)
def test_it_reads_what_roi_align_reads(
    num_boxes: int, frame_size: tuple[int, int], map_size: tuple[int, int]
) -> None:
    x = torch.randn(2, 6, 3, *map_size)  # (B, D, T, H, W)
    boxes = GridProposals(num_boxes)(torch.zeros(1, 3, *frame_size))[0]
    expected = region_features(x, boxes.expand(2, 3, -1, -1), frame_size)
    torch.testing.assert_close(grid_features(x, boxes, frame_size), expected, atol=1e-5, rtol=0)


def test_each_cell_is_a_mean() -> None:
    rows = reading_points(torch.tensor([0.0, 1.5]), torch.tensor([5.0, 4.0]), 5)
    assert rows.shape == (2, 7, 5)
    torch.testing.assert_close(rows.sum(-1), torch.ones(2, 7))
