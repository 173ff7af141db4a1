"""The region graph with a grid for regions: boxes that are the same in every frame are read by two fixed matrices."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.region_graph import REGION_SIZE, SAMPLES, I3DRegionGraph


class GridRegionGraph(nn.Module):
    """:class:`interlace.models.region_graph.I3DRegionGraph` with ``proposals="grid"``, without RoIAlign.

    RoIAlign reads each point of a region from the four pixels around it, by a factor of the row and one of the column.
    So a fixed region is rows @ map @ columns.
    """

    def __init__(self, network: I3DRegionGraph) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "B D2"]:
        """Frames of clips to a feature for each."""
        network = self.network
        x = network.reduce(network.forward_features(frames))
        boxes = network.proposals(frames[:1])[0]  # (N, 4), the same in all frames
        nodes = grid_features(x, boxes, (frames.shape[2], frames.shape[3]))
        nodes = network.graph(nodes, boxes.expand(x.shape[0], x.shape[2], -1, -1))
        return torch.cat([nodes.mean(1), x.mean((2, 3, 4))], 1)


def grid_features(
    x: Float[Tensor, "B D T H W"], boxes: Float[Tensor, "N 4"], frame_size: tuple[int, int]
) -> Float[Tensor, "B M D"]:
    """As :func:`interlace.models.region_graph.region_features` of boxes that are the same in all frames, M = T*N.

    Args:
        x: features of clips.
        boxes: (x1, y1, x2, y2) in pixels of the frames, all within them.
        frame_size: height and width of the frames.

    Example:
        >>> import torch
        >>> from interlace.export.grid_regions import grid_features
        >>> grid_features(torch.ones(1, 2, 3, 4, 4), torch.tensor([[8.0, 8.0, 32.0, 32.0]]), (64, 64)).shape
        torch.Size([1, 3, 2])
    """
    (height, width), (H, W) = frame_size, x.shape[3:]
    rows = reading_points(boxes[:, 1] * (H / height), boxes[:, 3] * (H / height), H)
    columns = reading_points(boxes[:, 0] * (W / width), boxes[:, 2] * (W / width), W)
    maps = x.transpose(1, 2).unsqueeze(3)  # (B, D, T, H, W) -> (B, T, D, 1, H, W)
    regions = rows @ maps @ columns.mT  # (B, T, D, N, 7, 7)
    return regions.amax((4, 5)).transpose(2, 3).flatten(1, 2)


def reading_points(
    start: Float[Tensor, " N"], end: Float[Tensor, " N"], size: int
) -> Float[Tensor, "N 7 size"]:
    """How much each of the 7 cells between two edges takes from each pixel of a row, in torchvision's RoIAlign.

    A cell is the mean of two points, and a point lies between the middles of two pixels.

    Example:
        >>> import torch
        >>> from interlace.export.grid_regions import reading_points
        >>> reading_points(torch.tensor([0.0]), torch.tensor([7.0]), 7)[0, 1]
        tensor([0.1250, 0.7500, 0.1250, 0.0000, 0.0000, 0.0000, 0.0000])
    """
    number = REGION_SIZE * SAMPLES
    middles = (torch.arange(number, dtype=start.dtype, device=start.device) + 0.5) / number
    points = start[:, None] - 0.5 + (end - start)[:, None] * middles
    points = points.clamp(0, size - 1)[..., None]
    pixel = torch.arange(size, dtype=start.dtype, device=start.device)
    return (1 - (points - pixel).abs()).clamp(min=0).unflatten(1, (REGION_SIZE, SAMPLES)).mean(2)
