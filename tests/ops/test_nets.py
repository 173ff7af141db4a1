"""The two nets in one call against the modules, in float64 and at most twice as far from it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from interlace.layout import frames_to_clip
from interlace.ops import _cpu, interlace
from interlace.ops.nets import PARAMETERS, displaced, has_fused_nets, offset_and_weight
from interlace.temporal import TemporalInterlace

pytestmark = pytest.mark.skipif(
    not _cpu.supports(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)


def contiguous(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def sliced(x: Tensor) -> Tensor:
    return torch.cat([x, x + 1], 2)[:, :, : x.shape[2]]


def sliced_last(x: Tensor) -> Tensor:
    return channels_last(torch.cat([x + 1, x], 2))[:, :, x.shape[2] :]


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def same_pixel(x: Tensor) -> Tensor:
    return x[..., :1, :1].expand(x.shape)


def same_sample(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape)


LAYOUTS = [contiguous, channels_last, sliced, sliced_last, transposed, same_pixel, same_sample]


def module(channels: int = 24, num_segments: int = 4, num_groups: int = 3, mirrored: bool = True):
    part = TemporalInterlace(
        channels,
        num_segments=num_segments,
        num_groups=num_groups,
        mirrored=mirrored,
        offset_range=1.75,
        initial_offset=0.5,
    )
    for parameter in part.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return part.requires_grad_(False)


def in_one_call(part: TemporalInterlace, clip: Tensor) -> tuple[Tensor, Tensor]:
    parameters = part._parameters_of_nets()
    assert has_fused_nets(clip, parameters)
    return offset_and_weight(clip, parameters, part.offset_net.offset_range, part.mirrored)


def by_modules(part: TemporalInterlace, clip: Tensor) -> tuple[Tensor, Tensor]:
    return part._offset_and_weight(clip)[1:]


def assert_as_good(part: TemporalInterlace, clip: Tensor, luck: float = 1.0) -> None:
    exact = by_modules(copy.deepcopy(part).double(), clip.double())
    for got, by_torch, wanted in zip(in_one_call(part, clip), by_modules(part, clip), exact, strict=True):
        assert got.dtype == torch.float32
        assert got.shape == wanted.shape
        one = torch.finfo(torch.float32).eps * wanted.abs().max()
        error, plain_error = ((a.double() - wanted).abs().max() for a in (got, by_torch))
        assert error <= 2 * plain_error + luck * one


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_equals_the_modules(mirrored, layout, dtype):
    clip = layout(torch.randn(2, 4, 24, 5, 7).to(dtype))
    assert_as_good(module(mirrored=mirrored), clip, luck=4)  # a few long sums


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((1, 1, 8, 1, 1), 1), ((3, 1, 16, 5, 1), 2), ((1, 2, 8, 1, 7), 1), ((2, 16, 148, 3, 5), 37)],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_of_one_and_sizes_that_divide_into_nothing(layout, shape, groups):
    part = module(shape[2], shape[1], groups, mirrored=False)
    assert_as_good(part, layout(torch.randn(shape)), luck=4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("size", [56, 112])
def test_means_of_many_pixels_are_as_good_as_torch_makes_them(size, layout, dtype):
    """Behind a ReLU all have one sign, and a plain sum of thousands loses digits."""
    assert_as_good(
        module(64, num_groups=2), layout((torch.rand(1, 4, 64, size, size) + 0.5).to(dtype)), luck=1
    )


def test_a_mean_of_many_pixels():
    """A descriptor handed through as it is: one tap, no other weights."""
    part = module(4, 1, 1, mirrored=False)
    for parameter in part.parameters():
        parameter.zero_()
    part.weight_net.conv.weight[0, 0, 1] = 1
    for layout in (contiguous, channels_last):
        clip = layout(torch.rand(1, 1, 4, 224, 224) + 0.5)
        _, weight = in_one_call(part, clip)
        exact = 2 * clip[0, 0, 0].double().mean().sigmoid()
        assert weight.item() == pytest.approx(exact.item(), rel=3e-7)


def test_not_a_number_stays_visible():
    part, clip = module(), torch.randn(2, 4, 24, 5, 7)
    clip[1, 2, 3, 0, 0] = float("nan")
    got, wanted = in_one_call(part, clip), by_modules(part, clip)
    for a, b in zip(got, wanted, strict=True):
        assert torch.equal(a.isnan(), b.isnan())
    assert got[0].isnan().any()


def test_saturated_nets():
    part = module()
    part.offset_net.fc2.bias.copy_(torch.tensor([200.0, -200.0, 0.0]))
    part.weight_net.conv.bias.copy_(torch.tensor([200.0, -200.0, 0.0]))
    clip = torch.randn(2, 4, 24, 5, 7)
    for got, wanted in zip(in_one_call(part, clip), by_modules(part, clip), strict=True):
        torch.testing.assert_close(got, wanted)


def test_parameters_in_any_layout():
    part, clip = module(), torch.randn(2, 4, 24, 5, 7)
    strided = [
        torch.stack([parameter, parameter + 1], -1)[..., 0] for parameter in part._parameters_of_nets()
    ]
    got = offset_and_weight(clip, strided, 1.75, True)
    for a, b in zip(got, in_one_call(part, clip), strict=True):
        assert torch.equal(a, b)


def test_no_clips():
    offset, weight = in_one_call(module(), torch.zeros(0, 4, 24, 5, 7))
    assert offset.shape == (0, 6)
    assert weight.shape == (0, 4, 6)


def test_two_threads_give_the_same_bits():
    part, clip = module(), channels_last(torch.randn(2, 4, 24, 23, 29))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(in_one_call(part, clip))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("mirrored", [False, True])
def test_opcheck(mirrored):
    part = module(mirrored=mirrored)
    arguments = torch.randn(2, 4, 24, 5, 7), part._parameters_of_nets(), 1.75, mirrored
    results = opcheck(torch.ops.interlace.offset_and_weight.default, arguments)
    assert set(results.values()) == {"SUCCESS"}


def test_the_parameters_are_those_of_the_layers_named():
    part = module()
    layers = {"conv": part.offset_net.conv, "fc1": part.offset_net.fc1, "fc2": part.offset_net.fc2}
    layers["weight_conv"] = part.weight_net.conv
    wanted = [parameter for name in PARAMETERS for parameter in (layers[name].weight, layers[name].bias)]
    assert all(a is b for a, b in zip(part._parameters_of_nets(), wanted, strict=True))


def test_where_they_can_stand_in():
    part, clip = module(), frames_to_clip(torch.randn(8, 24, 5, 7), 4)
    parameters = part._parameters_of_nets()
    assert has_fused_nets(clip, parameters)
    assert not has_fused_nets(clip.double(), parameters)
    assert not has_fused_nets(clip.to("meta"), parameters)
    assert not has_fused_nets(clip, [parameter.bfloat16() for parameter in parameters])


def gradients(
    function, clip: Tensor, part: TemporalInterlace, grads: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Of the clip and of the parameters, where the clip is interlaced by what comes out."""
    clip = clip.detach().requires_grad_()
    parameters = [parameter.requires_grad_() for parameter in part._parameters_of_nets()]
    same, offset, weight = function(clip, part)
    out = interlace(same, offset, weight, part.fold)
    return torch.autograd.grad(
        [out, offset, weight],
        [clip, *parameters],
        [a.to(b.dtype) for a, b in zip(grads, (out, offset, weight), strict=True)],
    )


def fused(clip: Tensor, part: TemporalInterlace) -> tuple[Tensor, Tensor, Tensor]:
    return displaced(clip, part._parameters_of_nets(), part.offset_net.offset_range, part.mirrored)


def by_layers(clip: Tensor, part: TemporalInterlace) -> tuple[Tensor, Tensor, Tensor]:
    return part._offset_and_weight(clip)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [contiguous, channels_last, sliced_last])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 24, 5, 7), (1, 1, 24, 3, 1), (48, 8, 24, 2, 3)])
def test_every_gradient(shape, mirrored, layout, dtype):
    part = module(24, shape[1], 3, mirrored)
    clip, groups = layout(torch.randn(shape).to(dtype)), 6 if mirrored else 3
    grads = torch.randn(shape), torch.randn(shape[0], groups), torch.randn(*shape[:2], groups)
    grads = (grads[0].to(dtype), *grads[1:])
    wanted = gradients(by_layers, clip.double(), copy.deepcopy(part).double(), grads)
    by_torch, got = (gradients(function, clip, part, grads) for function in (by_layers, fused))
    for a, b, c in zip(got, by_torch, wanted, strict=True):
        assert a.dtype == b.dtype
        one = torch.finfo(a.dtype).eps * c.abs().max()
        error, plain_error = ((each.double() - c).abs().max() for each in (a, b))
        assert error <= 2 * plain_error + 8 * one  # long sums


def test_gradients_of_saturated_nets():
    """Small, but as right as torch has them."""
    part = module(mirrored=False)
    clip = torch.randn(2, 4, 24, 5, 7)
    grads = torch.zeros(2, 4, 24, 5, 7), torch.randn(2, 3), torch.zeros(2, 4, 3)
    for bias in (-12.0, 12.0):
        part.offset_net.fc2.weight.data.mul_(0.01)
        part.offset_net.fc2.bias.data.fill_(bias)
        wanted = gradients(by_layers, clip.double(), copy.deepcopy(part).double(), grads)
        by_torch, got = (gradients(function, clip, part, grads) for function in (by_layers, fused))
        for a, b, c in zip(got, by_torch, wanted, strict=True):
            error, plain_error = ((each.double() - c).abs().max() for each in (a, b))
            assert error <= 2 * plain_error + 1e-2 * c.abs().max()


@pytest.mark.parametrize("which", [0, 3, 8])
def test_one_gradient_alone(which):
    part, clip = module(), torch.randn(2, 4, 24, 5, 7)
    leaf = [clip, *part._parameters_of_nets()][which].requires_grad_()
    results = []
    for function in (fused, by_layers):
        same, offset, weight = function(clip, part)
        assert same.requires_grad == clip.requires_grad
        out = interlace(same, offset, weight, part.fold)
        results.append(torch.autograd.grad(out.square().sum() + offset.sum(), leaf)[0])
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_elsewhere_the_operator_runs_in_plain_torch():
    """A program exported with it may be loaded where the kernels are not."""
    part, clip = module(), torch.randn(2, 4, 24, 5, 7)
    double = copy.deepcopy(part).double()
    got = offset_and_weight(clip.double(), double._parameters_of_nets(), 1.75, True)
    for a, b in zip(got, by_modules(double, clip.double()), strict=True):
        torch.testing.assert_close(a, b)
