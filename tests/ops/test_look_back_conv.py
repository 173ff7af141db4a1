from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interlace.ops import look_back
from interlace.ops._library import LIBRARY
from interlace.ops.look_back_conv import (
    LookBack,
    can_look_back,
    can_look_back_conv1x1,
    look_back_conv1x1,
    look_back_packed_conv1x1,
    look_back_within,
)
from interlace.ops.packed_conv import can_pack, pack

B, C, FOLD, G, H, W, K, R = 2, 14, 6, 3, 5, 7, 48, 3
LAYOUTS = [torch.contiguous_format, torch.channels_last]

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the package was built without its kernels")


def seen(dtype: torch.dtype, layout: torch.memory_format) -> LookBack:
    def frame(channels: int) -> Tensor:
        return torch.randn(B, channels, H, W).to(dtype, memory_format=layout)

    offset = torch.tensor([[0.3, 1.0, 2.5], [0.0, 3.0, 1.25]])
    past = tuple(frame(FOLD) for _ in range(R))
    return LookBack(frame(C).unsqueeze(1), past, offset, 2 * torch.rand(B, 1, G), FOLD)


def moved(of: LookBack) -> Tensor:
    """The frames as the convolution should see them, in float64."""
    clip = of.clip.double()
    past = [frame.double() for frame in of.past]
    mixed = look_back(clip[:, :, :FOLD], past, of.offset.double()[:, None], of.weight.double())
    return torch.cat([mixed, clip[:, :, FOLD:]], 2).flatten(0, 1)


def test_a_contiguous_1x1_convolution_reads_the_past():
    of, kernel, bias = seen(torch.float32, torch.contiguous_format), torch.randn(K, C), torch.randn(K)
    if not can_look_back_conv1x1(of):
        pytest.skip("this processor has no such kernel")
    exact = F.conv2d(moved(of), kernel.double()[:, :, None, None], bias.double())
    torch.testing.assert_close(look_back_conv1x1(of, kernel, bias).double(), exact, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_1x1_convolution_reads_the_past(dtype):
    of, bias = seen(dtype, torch.channels_last), torch.randn(K)
    kernel = torch.randn(K, C, 1, 1).to(dtype)
    if not can_pack(of.clip, FOLD, kernel):
        pytest.skip(f"this processor, or the build, has no kernel for {dtype}")
    exact = F.conv2d(moved(of), kernel.double(), bias.double()).clamp(0, 6)
    out = look_back_packed_conv1x1(of, pack(kernel), bias, 0.0, 6.0)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
    torch.testing.assert_close(out.double(), exact, atol=tolerance * 10, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_convolution_sees_the_past_and_the_frame_is_restored(layout, dtype):
    of = seen(dtype, layout)
    before = of.clip.clone()
    out = look_back_within(of, lambda frames: frames.double() * 3)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 0.005}[dtype]
    torch.testing.assert_close(out, moved(of) * 3, atol=tolerance * 3, rtol=tolerance)
    assert torch.equal(of.clip, before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_zeros_before_a_stream_fit_frames_of_any_size(layout):
    of = seen(torch.float32, layout)
    zeros = of._replace(past=tuple(torch.zeros(B, FOLD, 1, 1) for _ in range(R)))
    full = of._replace(past=tuple(torch.zeros_like(frame) for frame in of.past))
    assert torch.equal(look_back_within(zeros, torch.clone), look_back_within(full, torch.clone))


def test_a_frame_that_cannot_be_written_to():
    of = seen(torch.float32, torch.contiguous_format)
    same = of._replace(clip=of.clip[:1].expand(B, -1, -1, -1, -1))
    torch.testing.assert_close(look_back_within(same, torch.Tensor.double), moved(same), atol=1e-5, rtol=1e-5)


def test_it_is_for_inference_only():
    frames = torch.zeros(B, C, H, W)
    assert not can_look_back(frames)
    with torch.no_grad():
        assert can_look_back(frames)
        assert not can_look_back(frames.double())
        with torch.autocast("cpu"):
            assert not can_look_back(frames)


@pytest.mark.filterwarnings("ignore")  # tracing is old, and warns of what it cannot see
@torch.no_grad()
def test_a_trace_would_not_see_the_kernel() -> None:
    answers = []

    def ask(frames: Tensor) -> Tensor:
        answers.append(can_look_back(frames))
        return frames + 1

    torch.jit.trace(ask, torch.zeros(1, 4, 3, 3), check_trace=False)
    assert answers == [False]
