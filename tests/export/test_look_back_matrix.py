from __future__ import annotations

import pytest
import torch

from interlace.export.look_back_matrix import MatrixLookBack
from interlace.temporal import CausalInterlace

H, W = 5, 7


def module_of(**arguments: object) -> CausalInterlace:
    module = CausalInterlace(16, **arguments)
    torch.nn.init.normal_(module.offset_net.last.weight)  # zero at the start: every frame looks back alike
    return module


@torch.no_grad()
@pytest.mark.parametrize("num_segments", [1, 2, 4])
@pytest.mark.parametrize("arguments", [{}, {"window": 1, "offset_range": 1.2, "num_groups": 2}])
def test_of_clips(num_segments: int, arguments: dict[str, object]) -> None:
    module = module_of(num_segments=num_segments, **arguments)
    frames = torch.randn(3 * num_segments, 16, H, W)
    torch.testing.assert_close(MatrixLookBack(module)(frames), module(frames), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [1, 2, 5])
@pytest.mark.parametrize("arguments", [{}, {"window": 1}, {"window": 4, "offset_range": 3.0}])
def test_of_a_stream_in_pieces_of_any_length(num_frames: int, arguments: dict[str, object]) -> None:
    module = module_of(**arguments)
    by_matrix = MatrixLookBack(module)
    *past, before = module.init_state(3, torch.float32, torch.device("cpu"))
    state = found_state = (*(frame.expand(-1, -1, H, W) for frame in past), before)
    for clip in torch.randn(4, 3, num_frames, 16, H, W):
        expected, state = module.go_on(clip, state)
        found, found_state = by_matrix.go_on(clip, found_state)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert len(found_state) == len(state) == len(module.state_names())
    for found, expected in zip(found_state, state, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_its_weights_keep_their_names() -> None:
    module = CausalInterlace(16)
    assert MatrixLookBack(module).state_dict().keys() == module.state_dict().keys()
