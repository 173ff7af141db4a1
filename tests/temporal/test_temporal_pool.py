from __future__ import annotations

import numpy as np
import pytest
import torch

from interlace.temporal import TemporalPool
from interlace.temporal.temporal_pool import pooled_segments


@pytest.mark.reference
def test_the_published_pool(reference_dir):
    case = np.load(reference_dir / "tsm_shift.npz")
    np.testing.assert_array_equal(TemporalPool(8)(torch.from_numpy(case["tpool.x"])), case["tpool.out"])


@pytest.mark.parametrize(
    ("values", "pooled"),
    [
        ([1, 5, 2, 3, 9, 4, 0, 7], [5, 5, 9, 7]),
        ([1, 2, 3, 4, 5, 6, 7], [2, 4, 6, 7]),
        ([3, 1, 2], [3, 2]),
        ([-4, -3], [-3]),
        ([-4], [-4]),  # the padding never wins
    ],
)
def test_the_maximum_of_every_second_frame_and_its_neighbours(values, pooled):
    frames = torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)
    both = torch.cat([frames, 10 - frames]).expand(-1, 3, 5, 7)
    out = TemporalPool(len(values))(both)
    assert out.shape == (2 * len(pooled), 3, 5, 7)
    assert out[: len(pooled), 2, 4, 6].tolist() == pooled
    assert pooled_segments(len(values)) == len(pooled)


def test_keeps_the_memory_format_and_the_dtype():
    frames = torch.randn(8, 6, 5, 7).bfloat16().to(memory_format=torch.channels_last)
    out = TemporalPool(4)(frames)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, TemporalPool(4)(frames.contiguous()))


def test_the_gradient_goes_to_the_frame_that_was_taken():
    frames = torch.tensor([1.0, 5.0, 2.0, 3.0]).reshape(4, 1, 1, 1).requires_grad_()
    TemporalPool(4)(frames).sum().backward()
    assert frames.grad.flatten().tolist() == [0, 2, 0, 0]


def test_frames_that_do_not_make_clips_are_named():
    with pytest.raises(ValueError, match=r"9 frames .* num_segments=4"):
        TemporalPool(4)(torch.zeros(9, 8, 2, 3))


def test_has_no_parameters_and_says_how_long_its_clips_are():
    assert TemporalPool(4).state_dict() == {}
    assert str(TemporalPool(4)) == "TemporalPool(num_segments=4)"
