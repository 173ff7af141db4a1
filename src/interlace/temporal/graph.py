"""Graphs of the regions of a clip, and convolutions on them (Wang & Gupta, ECCV 2018).

A clip has M = T*N nodes: region n of frame t is node t*N + n. A graph is a matrix (M, M); row i
says how much node i takes from each node, and sums to one (or is zero: such a node takes nothing).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def intersection_over_union(
    boxes: Float[Tensor, "*batch N 4"], others: Float[Tensor, "*batch M 4"]
) -> Float[Tensor, "*batch N M"]:
    """How much each of N boxes (x1, y1, x2, y2) overlaps each of M others; 0 where both are empty.

    Example:
        >>> import torch
        >>> from interlace.temporal.graph import intersection_over_union
        >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 1.0, 2.0, 2.0]])
        >>> intersection_over_union(boxes, boxes)
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    left_top = torch.maximum(boxes[..., :, None, :2], others[..., None, :, :2])
    right_bottom = torch.minimum(boxes[..., :, None, 2:], others[..., None, :, 2:])
    shared = (right_bottom - left_top).clamp(min=0).prod(-1)
    area, other_area = ((b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (boxes, others))
    either = area[..., :, None] + other_area[..., None, :] - shared
    return torch.where(either > 0, shared / either.clamp(min=torch.finfo(either.dtype).tiny), 0.0)


def space_time_graphs(
    boxes: Float[Tensor, "B T N 4"],
) -> tuple[Float[Tensor, "B M M"], Float[Tensor, "B M M"]]:
    """The forward graph, from each region to those it overlaps in the next frame, and the backward one.

    The weights are intersections over unions, each row divided by its sum, as in the paper.

    Example:
        >>> import torch
        >>> from interlace.temporal.graph import space_time_graphs
        >>> boxes = torch.tensor([0.0, 0.0, 4.0, 4.0]).expand(1, 3, 2, 4)  # 3 frames of 2 equal boxes
        >>> forward, backward = space_time_graphs(boxes)
        >>> forward[0, 0].tolist(), backward[0, 5].tolist()
        ([0.0, 0.0, 0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5, 0.0, 0.0])
    """
    num_frames, num_boxes = boxes.shape[1:3]
    overlap = intersection_over_union(boxes.flatten(1, 2), boxes.flatten(1, 2))  # (B, T, N, 4) -> (B, M, M)
    frame = torch.arange(num_frames, device=boxes.device).repeat_interleave(num_boxes)
    later = frame[None, :] - frame[:, None]  # the column's frame, counted from the row's
    return _rows_to_one(overlap * (later == 1)), _rows_to_one(overlap * (later == -1))


class SimilarityGraph(nn.Module):
    """softmax over j of (w x_i) . (w' x_j), as the paper has it: no 1 / sqrt(channels).

    Args:
        channels: of a node (D).

    Example:
        >>> import torch
        >>> from interlace.temporal.graph import SimilarityGraph
        >>> SimilarityGraph(8)(torch.zeros(2, 4, 8))[0, 0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500], grad_fn=<SelectBackward0>)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w = nn.Linear(channels, channels, bias=False)
        self.w_other = nn.Linear(channels, channels, bias=False)

    def forward(self, nodes: Float[Tensor, "B M D"]) -> Float[Tensor, "B M M"]:
        """Features of the nodes to a graph."""
        return (self.w(nodes) @ self.w_other(nodes).mT).softmax(-1)


class GraphConvolution(nn.Module):
    """relu(norm(sum over graphs of A_i X W_i)): nodes take from their neighbors in each graph.

    A node without neighbors becomes what the norm makes of zero: its bias, if positive.

    Args:
        channels: of a node (D).
        num_graphs: graphs, each with weights of its own.

    Example:
        >>> import torch
        >>> from interlace.temporal.graph import GraphConvolution
        >>> GraphConvolution(8, num_graphs=2)(torch.zeros(2, 5, 8), [torch.eye(5), torch.eye(5)]).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, channels: int, num_graphs: int = 1) -> None:
        super().__init__()
        self.w = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(num_graphs))
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Float[Tensor, "B M D"], graphs: list[Tensor]) -> Float[Tensor, "B M D"]:
        """Nodes and one matrix (B, M, M) or (M, M) for each graph to nodes."""
        z = torch.stack([a @ w(x) for a, w in zip(graphs, self.w, strict=True)]).sum(0)
        return F.relu(self.norm(z))


class RegionGraph(nn.Module):
    """Two branches of graph convolutions, one on the similarity graph, one on both space-time graphs; their sum.

    Branches of their own, because the paper found all three graphs in one branch to be worse than one alone. The
    similarity graph is made once, from the nodes as they come in.

    Args:
        channels: of a node (D).
        num_layers: graph convolutions in a branch; 3 as published.

    Example:
        >>> import torch
        >>> from interlace.temporal.graph import RegionGraph
        >>> RegionGraph(8)(torch.zeros(2, 6, 8), torch.zeros(2, 3, 2, 4)).shape
        torch.Size([2, 6, 8])
    """

    def __init__(self, channels: int, num_layers: int = 3) -> None:
        super().__init__()
        self.similarity = SimilarityGraph(channels)
        self.similar = nn.ModuleList(GraphConvolution(channels) for _ in range(num_layers))
        self.space_time = nn.ModuleList(GraphConvolution(channels, num_graphs=2) for _ in range(num_layers))

    def forward(
        self, nodes: Float[Tensor, "B M D"], boxes: Float[Tensor, "B T N 4"]
    ) -> Float[Tensor, "B M D"]:
        """Features of the regions and their boxes, M = T*N, to what the regions are to each other."""
        graph = self.similarity(nodes)
        similar = near = nodes
        for layer in self.similar:
            similar = layer(similar, [graph])
        forward, backward = (a.to(graph.dtype) for a in space_time_graphs(boxes))
        for layer in self.space_time:
            near = layer(near, [forward, backward])
        return similar + near


def _rows_to_one(graph: Tensor) -> Tensor:
    """Each row divided by its sum; a row of zeros stays one."""
    total = graph.sum(-1, keepdim=True)
    return torch.where(total > 0, graph / total.clamp(min=torch.finfo(graph.dtype).tiny), 0.0)
