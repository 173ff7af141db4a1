from __future__ import annotations

import pytest
import torch

from interlace.export.interlace_matrix import (
    FixedInterlace,
    MatrixInterlace,
    interlace_matrix,
    move_frames,
)
from interlace.layout import clip_to_frames
from interlace.ops import interlace, temporal_shift
from interlace.temporal import RegularizedTemporalConv, TemporalInterlace

B, T, C, H, W = 2, 4, 8, 5, 7


@pytest.mark.parametrize(
    ("offset", "rows"),
    [
        (0.0, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (1.0, [[0, 0, 0], [1, 0, 0], [0, 1, 0]]),
        (-1.0, [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        (0.25, [[0.75, 0, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]]),
        (-0.5, [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 0.5]]),
        (1.5, [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]]),
        (2.75, [[0, 0, 0], [0, 0, 0], [0.25, 0, 0]]),
        (3.0, [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (-1e6, [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ],
)
def test_rows_for_an_offset(offset: float, rows: list[list[float]]) -> None:
    matrix = interlace_matrix(torch.tensor([[[offset]]]), torch.ones(1, 3, 1))
    assert matrix[0, 0].tolist() == rows


def test_weight_is_of_the_target_frame_and_the_group() -> None:
    weight = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]])
    matrix = interlace_matrix(torch.tensor([[[1.0, 0.0]]]), weight)
    assert matrix[0, 0].tolist() == [[0, 0, 0], [2, 0, 0], [0, 3, 0]]
    assert matrix[0, 1].tolist() == [[10, 0, 0], [0, 20, 0], [0, 0, 30]]


@pytest.mark.parametrize("fold", [4, 8])
def test_it_moves_what_the_operator_moves(fold: int) -> None:
    clip, weight = torch.randn(B, T, C, H, W), torch.rand(B, T, 4)
    offset = torch.tensor([[0.3, -1.7, 2.0, 5.0], [-0.0, 1.0, -3.5, 0.999]])
    moved = move_frames(clip_to_frames(clip), interlace_matrix(offset[:, None], weight), fold)
    torch.testing.assert_close(
        moved, clip_to_frames(interlace(clip, offset, weight, fold)), atol=1e-6, rtol=0
    )


def test_offsets_of_one_frame_are_the_shift() -> None:
    clip = torch.randn(B, T, C, H, W)
    matrix = interlace_matrix(torch.tensor([[[-1.0, 1.0]]]), torch.ones(1, T, 2))
    assert torch.equal(
        move_frames(clip_to_frames(clip), matrix, 4), clip_to_frames(temporal_shift(clip, fold_div=4))
    )


@pytest.mark.parametrize(
    "arguments", [{}, {"mirrored": False}, {"num_groups": 1}, {"shift_div": 1, "offset_range": 4.0}]
)
def test_module_of_tin(arguments: dict[str, object]) -> None:
    module = TemporalInterlace(16, num_segments=T, **arguments)
    frames = torch.randn(B * T, 16, H, W)
    torch.testing.assert_close(MatrixInterlace(module)(frames), module(frames), atol=1e-5, rtol=0)


def test_its_weights_keep_their_names() -> None:
    module = TemporalInterlace(16, num_segments=T)
    assert MatrixInterlace(module).state_dict().keys() == module.state_dict().keys()


@pytest.mark.parametrize("initial_offset", [0.5, 1.0, 9.0])
def test_module_of_the_regularized_convolution(initial_offset: float) -> None:
    module = RegularizedTemporalConv(16, num_segments=T, initial_offset=initial_offset)
    torch.nn.init.uniform_(module.weight)
    frames = torch.randn(B * T, 16, H, W)
    torch.testing.assert_close(FixedInterlace(module)(frames), module(frames), atol=1e-6, rtol=0)
