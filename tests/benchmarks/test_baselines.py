"""The transcriptions of the published arithmetic compute what ours compute, gradients too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import interlace
from baselines.hat import hat_interlace
from baselines.interlace import PublishedInterlace, bytes_moved, published_interlace
from baselines.networks import published
from baselines.shift import PublishedShift, published_shift
from interlace import ops
from interlace.models import VideoClassifier
from interlace.temporal import TemporalInterlace, TemporalShift

B, T, C, H, W = 2, 4, 16, 5, 7


def gradients(out: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn(out.shape, generator=generator, dtype=out.dtype)
    return torch.autograd.grad(out, inputs, grad)


@pytest.mark.parametrize(
    "offset",
    [[0.5, 1.3, -0.5, -1.3], [1.0, -1.0, 0.0, 2.0], [9.5, -9.5, 3.9, -3.9]],
    ids=["real", "whole", "far"],
)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_operator(offset: list[float], layout: str) -> None:
    frames = torch.randn(B * T, C, H, W, dtype=torch.float64)
    if layout == "channels_last":
        frames = frames.contiguous(memory_format=torch.channels_last)
    x = frames.unflatten(0, (B, T)).requires_grad_()
    offsets = torch.tensor([offset, offset[::-1]], dtype=torch.float64, requires_grad=True)
    weight = torch.rand(B, T, 4, dtype=torch.float64, requires_grad=True)
    fold = C // 4 * 2
    theirs = published_interlace(x, offsets, weight, fold)
    definition = hat_interlace(x, offsets, weight, fold)
    ours = torch.cat([ops.interlace(x[:, :, :fold], offsets, weight), x[:, :, fold:]], 2)
    torch.testing.assert_close(theirs, ours)
    torch.testing.assert_close(definition, ours)
    for a, b in zip(
        gradients(theirs, [x, offsets, weight]), gradients(ours, [x, offsets, weight]), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_interlace_module_with_our_weights() -> None:
    ours = TemporalInterlace(C, num_segments=T).double()
    theirs = PublishedInterlace(TemporalInterlace(C, num_segments=T).double())
    theirs.load_state_dict(ours.state_dict())
    frames = torch.randn(B * T, C, H, W, dtype=torch.float64, requires_grad=True)
    expected, out = ours(frames), theirs(frames)
    torch.testing.assert_close(out, expected)
    expected_gradients = gradients(expected, [frames, *ours.parameters()])
    for a, b in zip(gradients(out, [frames, *theirs.parameters()]), expected_gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_shift() -> None:
    x = torch.randn(B, T, C, H, W, requires_grad=True)
    ours, theirs = ops.temporal_shift(x), published_shift(x)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)
    torch.testing.assert_close(gradients(theirs, [x])[0], gradients(ours, [x])[0], rtol=0, atol=0)
    module = PublishedShift(TemporalShift(C, num_segments=T))
    torch.testing.assert_close(module(x.flatten(0, 1)), ours.flatten(0, 1), rtol=0, atol=0)


def test_bytes_of_the_published_arithmetic() -> None:
    assert bytes_moved(whole=4, fold=1) == 23


def network(name: str, **more: object) -> VideoClassifier:
    return interlace.create_model(name, num_classes=5, num_segments=T, **more)


@pytest.mark.parametrize("name", ["tin_resnet10t", "tsm_resnet10t", "tsn_resnet10t", "tin_mobilenetv2_050"])
def test_networks(name: str) -> None:
    ours = network(name).eval()
    theirs = published(ours)
    assert theirs.state_dict().keys() == ours.state_dict().keys()
    assert all(a is not b for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))
    clip = torch.randn(B, T, 3, 32, 32)
    torch.testing.assert_close(theirs(clip), ours(clip), rtol=1e-4, atol=1e-6)
    kinds = {type(module) for module in theirs.modules()}
    assert not kinds & {TemporalInterlace, TemporalShift}


def test_what_is_not_transcribed() -> None:
    with pytest.raises(ValueError, match="there is no published arithmetic of"):
        published(network("tsm_resnet10t", mode="causal"))
