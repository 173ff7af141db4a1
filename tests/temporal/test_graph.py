"""Graphs of regions: by hand on few boxes, and against loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from interlace.temporal.graph import (
    GraphConvolution,
    RegionGraph,
    SimilarityGraph,
    intersection_over_union,
    space_time_graphs,
)

B, T, N, D = 2, 4, 3, 8
M = T * N


def some_boxes() -> torch.Tensor:
    corner = torch.rand(B, T, N, 2, dtype=torch.float64) * 20
    return torch.cat([corner, corner + 5 + 10 * torch.rand(B, T, N, 2, dtype=torch.float64)], -1)


def test_overlap_of_three_boxes_by_hand():
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [4, 4, 5, 6]])
    # 16, 16 and 2 pixels; the first two share 2 x 4 of 24, the third only touches.
    wanted = torch.tensor([[1, 8 / 24, 0], [8 / 24, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(intersection_over_union(boxes, boxes), wanted)


def test_empty_boxes_overlap_nothing():
    boxes = torch.tensor([[3.0, 3, 3, 3], [5, 5, 4, 4], [0, 0, 9, 9]])
    overlap = intersection_over_union(boxes, boxes)
    assert overlap.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_space_time_graphs_by_hand():
    """Two frames of two boxes, one frame of boxes elsewhere."""
    a, b, away = [0.0, 0, 4, 4], [2.0, 0, 6, 4], [90.0, 90, 99, 99]
    boxes = torch.tensor([[[a, b], [a, a], [away, away]]])
    forward, backward = space_time_graphs(boxes)
    half, third = 0.5, 1 / 3
    wanted = torch.zeros(6, 6)
    wanted[0, 2:4] = half  # a meets a and a
    wanted[1, 2:4] = half  # b overlaps both alike
    torch.testing.assert_close(forward[0], wanted)
    wanted = torch.zeros(6, 6)
    wanted[2:4, 0] = 1 / (1 + third)  # a meets a (1) and b (8 of 24 pixels)
    wanted[2:4, 1] = third / (1 + third)
    torch.testing.assert_close(backward[0], wanted)


def test_space_time_graphs_join_neighboring_frames_only():
    forward, backward = space_time_graphs(some_boxes())
    frame = torch.arange(T).repeat_interleave(N)
    later = frame[None, :] - frame[:, None]
    assert forward[:, later != 1].count_nonzero() == 0
    assert backward[:, later != -1].count_nonzero() == 0
    for graph, without in ((forward, slice(M - N, None)), (backward, slice(0, N))):
        total = graph.sum(-1)
        assert total[:, without].count_nonzero() == 0
        assert ((total - 1).abs().lt(1e-12) | total.eq(0)).all()
        assert total.count_nonzero() > M


def test_similarity_graph_is_the_formula():
    graph = SimilarityGraph(D).double()
    x = torch.randn(B, M, D, dtype=torch.float64)
    w, other = graph.w.weight.detach(), graph.w_other.weight.detach()
    out = graph(x)
    for b in range(B):
        for i in range(M):
            scores = [math.exp((w @ x[b, i]) @ (other @ x[b, j])) for j in range(M)]
            wanted = torch.tensor(scores, dtype=torch.float64) / sum(scores)
            torch.testing.assert_close(out[b, i], wanted)


def test_graph_convolution_is_the_formula():
    layer = GraphConvolution(D, num_graphs=2).double()
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    x = torch.randn(B, M, D, dtype=torch.float64)
    graphs = [torch.rand(B, M, M, dtype=torch.float64) for _ in range(2)]
    out = layer(x, graphs)
    for b in range(B):
        for i in range(M):
            z = torch.zeros(D, dtype=torch.float64)
            for graph, w in zip(graphs, layer.w, strict=True):
                for j in range(M):
                    z += graph[b, i, j] * (w.weight @ x[b, j])
            normed = (z - z.mean()) / (z.var(unbiased=False) + 1e-5).sqrt()
            wanted = (normed * layer.norm.weight + layer.norm.bias).clamp(min=0)
            torch.testing.assert_close(out[b, i], wanted)


def test_a_convolution_wants_as_many_graphs_as_it_was_built_for():
    with pytest.raises(ValueError, match="argument 2"):
        GraphConvolution(D, num_graphs=2)(torch.zeros(B, M, D), [torch.eye(M)])


def test_branches_are_summed():
    graph = RegionGraph(D).double()
    x, boxes = torch.randn(B, M, D, dtype=torch.float64), some_boxes()
    similar, near = x, x
    similarity, space_time = graph.similarity(x), list(space_time_graphs(boxes))
    assert len(graph.similar) == len(graph.space_time) == 3
    for one, other in zip(graph.similar, graph.space_time, strict=True):
        similar, near = one(similar, [similarity]), other(near, space_time)
    torch.testing.assert_close(graph(x, boxes), similar + near)


def test_the_order_of_boxes_in_a_frame_does_not_matter_that_of_frames_does():
    graph = RegionGraph(D).double()
    x, boxes = torch.randn(B, T, N, D, dtype=torch.float64), some_boxes()
    mean = graph(x.flatten(1, 2), boxes).mean(1)
    turned = [2, 0, 1]
    other = graph(x[:, :, turned].flatten(1, 2), boxes[:, :, turned]).mean(1)
    torch.testing.assert_close(other, mean)
    swapped = [1, 0, 2, 3]
    other = graph(x[:, swapped].flatten(1, 2), boxes[:, swapped]).mean(1)
    assert (other - mean).abs().max() > 1e-3


def test_gradients_are_right():
    graph = RegionGraph(4, num_layers=2).double()
    x = torch.randn(1, 6, 4, dtype=torch.float64, requires_grad=True)
    boxes = some_boxes()[:1, :2]
    assert torch.autograd.gradcheck(lambda x: graph(x, boxes), x)
    graph(x, boxes).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in graph.parameters())
