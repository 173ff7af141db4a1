"""The fused convolution against conv(interlace(x)) in float64, in every geometry and layout."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import opcheck

from interlace.ops import has_kernels, interlace, interlaced_conv2d

B, T, C, H, W, K = 2, 4, 12, 5, 7, 6

GEOMETRIES: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "1x1": ((1, 1), {}),
    "1x1 stride": ((1, 1), {"stride": (2, 3)}),
    "1x1 padding": ((1, 1), {"padding": (1, 0)}),
    "1x1 groups": ((1, 1), {"groups": 3}),
    "3x3": ((3, 3), {"padding": (1, 1)}),
    "3x3 stride": ((3, 3), {"padding": (1, 1), "stride": (2, 2)}),
    "3x2 dilation": ((3, 2), {"padding": (2, 1), "dilation": (2, 1)}),
    "depthwise": ((3, 3), {"padding": (1, 1), "groups": C}),
}


def contiguous(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def sliced(x: Tensor) -> Tensor:
    return torch.cat([x, x + 1], 2)[:, :, : x.shape[2]]


def sliced_last(x: Tensor) -> Tensor:
    return channels_last(torch.cat([x + 1, x], 2))[:, :, x.shape[2] :]


def every_second_frame(x: Tensor) -> Tensor:
    return torch.stack([x, x + 1], 2).flatten(1, 2)[:, ::2]


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def same_sample(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape)


def same_pixel(x: Tensor) -> Tensor:
    return x[..., :1, :1].expand(x.shape)


LAYOUTS = [
    contiguous,
    channels_last,
    sliced,
    sliced_last,
    every_second_frame,
    transposed,
    same_sample,
    same_pixel,
]


def inputs(
    kernel_size: tuple[int, int] = (1, 1),
    groups: int = 1,
    dtype: torch.dtype = torch.float32,
    shape: tuple[int, ...] = (B, T, C, H, W),
    outputs: int = 0,
) -> list[Tensor]:
    """x, offset, weight, kernel, bias"""
    outputs = outputs or (shape[2] if groups == shape[2] else K)
    x, kernel = torch.randn(shape), torch.randn(outputs, shape[2] // groups, *kernel_size)
    offset = torch.tensor([[0.3, -1.75], [9.5, 1.0]])[: shape[0]]
    weight = 2 * torch.rand(shape[0], shape[1], 2)
    return [x.to(dtype), offset, weight, kernel.to(dtype), torch.randn(outputs).to(dtype)]


def definition(x: Tensor, offset: Tensor, weight: Tensor, kernel: Tensor, bias: Any, fold: int, **geo: Any):
    """In float64, with the hat function as it is written."""
    x, offset, weight, kernel = (a.double() for a in (x, offset, weight, kernel))
    t = torch.arange(x.shape[1], dtype=x.dtype)
    hat = (1 - (t[:, None] - t[None, :] - offset[:, :, None, None]).abs()).clamp(min=0)
    matrix = weight.transpose(1, 2)[..., None] * hat
    moved = torch.einsum("bgts,bsgchw->btgchw", matrix, x[:, :, :fold].unflatten(2, (2, -1))).flatten(2, 3)
    frames = torch.cat([moved, x[:, :, fold:]], 2).flatten(0, 1)
    out = F.conv2d(frames, kernel, None if bias is None else bias.double(), **geo)
    return out.unflatten(0, x.shape[:2])


def composed(x: Tensor, offset: Tensor, weight: Tensor, kernel: Tensor, bias: Any, fold: int, **geo: Any):
    out = F.conv2d(interlace(x, offset, weight, fold).flatten(0, 1), kernel, bias, **geo)
    return out.unflatten(0, x.shape[:2])


def assert_as_good(got: Tensor, by_torch: Tensor, exact: Tensor, luck: float = 0.5) -> None:
    """At most twice the error of the two operators in the same precision, but for some luck in rounding."""
    assert got.dtype == by_torch.dtype
    assert got.shape == exact.shape
    one = torch.finfo(got.dtype).eps * exact.abs().max()
    error, plain_error = ((a.double() - exact).abs().max() for a in (got, by_torch))
    assert error <= 2 * plain_error + luck * one


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["1x1", "3x3 stride"])
def test_layouts_and_precisions(name, layout, dtype):
    size, geometry = GEOMETRIES[name]
    x, *others = inputs(size, dtype=dtype)
    x = layout(x)
    out = interlaced_conv2d(x, *others, fold=4, **geometry)
    assert_as_good(out, composed(x, *others, 4, **geometry), definition(x, *others, 4, **geometry), 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fold", [2, 10, 12])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_as_many_outputs_as_vectors_hold(layout, fold, dtype):
    x, *others = inputs(dtype=dtype, outputs=48)
    arguments = layout(x), *others
    out, exact = interlaced_conv2d(*arguments, fold=fold), definition(*arguments, fold)
    assert_as_good(out, composed(*arguments, fold), exact, luck=2)


@pytest.mark.parametrize("fold", [2, 8, 12])
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_every_gradient(layout, name, fold):
    size, geometry = GEOMETRIES[name]
    x, *others = inputs(size, geometry.get("groups", 1))
    leaves = [layout(x).requires_grad_(), *(a.requires_grad_() for a in others)]
    exact_leaves = [a.detach().double().requires_grad_() for a in leaves]
    exact = definition(*exact_leaves, fold, **geometry)
    grad = torch.randn_like(exact)
    wanted = torch.autograd.grad(exact, exact_leaves, grad)
    by_torch = torch.autograd.grad(composed(*leaves, fold, **geometry), leaves, grad.float())
    out = interlaced_conv2d(*leaves, fold=fold, **geometry)
    got = torch.autograd.grad(out, leaves, grad.float())
    for each in zip(got, by_torch, wanted, strict=True):
        assert_as_good(*each, luck=8)  # long sums


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (4,), (1, 2), (0, 3), (3, 4)])
def test_some_of_the_gradients(wanted, layout):
    x, *others = inputs()
    leaves = [layout(x), *others]
    for i in wanted:
        leaves[i].requires_grad_()
    asked = [leaves[i] for i in wanted]
    out, reference = interlaced_conv2d(*leaves, fold=4), composed(*leaves, 4)
    grad = torch.randn_like(out)
    got = torch.autograd.grad(out, asked, grad)
    torch.testing.assert_close(got, torch.autograd.grad(reference, asked, grad), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "outputs"),
    [
        ((1, 1, 2, 1, 1), 1),
        ((2, 1, 4, 1, 7), 3),
        ((1, 5, 6, 47, 1), 9),
        ((2, 3, 8, 7, 7), 65),  # frames end within panels of pixels; rows of the kernel are left over
        ((1, 2, 130, 4, 12), 16),  # panels as wide as a frame
        ((2, 3, 14, 5, 7), 32),  # groups of an odd number of channels
        ((2, 5, 62, 9, 3), 80),
        ((1, 1, 6, 1, 2), 16),
        ((1, 3, 36, 23, 29), 7),
    ],
)
def test_sizes_that_divide_into_nothing(shape, outputs, dtype, layout):
    x, *others = inputs(shape=shape, outputs=outputs, dtype=dtype)
    fold = shape[2] // 2 // 2 * 2 or 2
    for bias in (others[-1], None):
        arguments = layout(x), *others[:-1], bias
        exact = definition(*arguments, fold)
        assert_as_good(interlaced_conv2d(*arguments, fold=fold), composed(*arguments, fold), exact, luck=2)
        relu = interlaced_conv2d(*arguments, fold=fold, relu=True)
        assert_as_good(relu, composed(*arguments, fold).relu(), exact.relu(), luck=2)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_no_clips(layout):
    x, offset, weight, kernel, bias = inputs(shape=(0, T, C, H, W))
    out = interlaced_conv2d(layout(x), offset, weight, kernel, bias, fold=4)
    assert out.shape == (0, T, K, H, W)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e30, 4.0, -4.0])
def test_nothing_is_left_beyond_the_clip(value, layout):
    x, _, weight, kernel, bias = inputs()
    out = interlaced_conv2d(layout(x), torch.full((B, 2), value), weight, kernel, bias, fold=C)
    torch.testing.assert_close(out, bias[:, None, None].expand_as(out))


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("relu", [False, True])
def test_not_a_number_stays_visible(relu, layout):
    x, offset, weight, kernel, bias = inputs()
    offset[1, 0] = float("nan")
    out = interlaced_conv2d(layout(x), offset, weight, kernel, bias, fold=4, relu=relu)
    assert out[1].isnan().all()
    assert not out[0].isnan().any()


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_relu_and_its_gradient(layout):
    x, *others = inputs()
    leaves = [a.requires_grad_() for a in (layout(x), *others)]
    out, reference = interlaced_conv2d(*leaves, fold=4, relu=True), composed(*leaves, 4).relu()
    torch.testing.assert_close(out, reference)
    assert (out == 0).any()
    grad = torch.randn_like(out)
    got, wanted = (torch.autograd.grad(a, leaves, grad) for a in (out, reference))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_the_same_as_the_two_operators_where_no_weight_is_given():
    x, offset, _, kernel, bias = inputs()
    out = interlaced_conv2d(x, offset, None, kernel, bias)
    torch.testing.assert_close(out, composed(x, offset, torch.ones(B, T, 2), kernel, bias, C))


def strided(parameter: Tensor) -> Tensor:
    return torch.stack([parameter, parameter + 1], -1)[..., 0]


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("which", [1, 2, 3, 4])
def test_parameters_in_any_layout(which, layout):
    x, *others = inputs()
    arguments = [layout(x), *others]
    wanted = interlaced_conv2d(*arguments, fold=4)
    arguments[which] = strided(arguments[which])
    torch.testing.assert_close(interlaced_conv2d(*arguments, fold=4), wanted)


def test_kernel_and_bias_in_channels_last_and_expanded():
    x, offset, weight, kernel, bias = inputs()
    last = kernel.to(memory_format=torch.channels_last)
    wanted = composed(x, offset, weight, kernel, bias, 4)
    torch.testing.assert_close(interlaced_conv2d(x, offset, weight, last, bias, fold=4), wanted)
    same = bias[:1].expand(K)
    wanted = composed(x, offset, weight, kernel, same.contiguous(), 4)
    torch.testing.assert_close(interlaced_conv2d(x, offset, weight, kernel, same, fold=4), wanted)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize(("which", "dtype"), [(3, torch.bfloat16), (3, torch.float64), (4, torch.float64)])
def test_a_parameter_of_another_dtype_is_refused(which, dtype, layout):
    """As by torch's convolution; its memory is not read as something else."""
    x, *others = inputs()
    arguments = [layout(x), *others]
    arguments[which] = arguments[which].to(dtype)
    with pytest.raises((ValueError, RuntimeError)):
        interlaced_conv2d(*arguments, fold=4)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_a_bias_of_another_length_is_refused(layout):
    x, offset, weight, kernel, _ = inputs()
    with pytest.raises((ValueError, RuntimeError)):
        inspect.unwrap(interlaced_conv2d)(layout(x), offset, weight, kernel, torch.ones(K - 2), fold=4)


def test_a_kernel_that_does_not_fit_is_named():
    x, offset, weight, kernel, bias = inputs()
    with pytest.raises(
        ValueError, match=r"kernel must be \(K, 12, kH, kW\) .* C=12 and groups=1, got \(6, 11, 1, 1\)"
    ):
        interlaced_conv2d(x, offset, weight, kernel[:, :11], bias)
    with pytest.raises(ValueError, match=r"C=9 .* G=2"):
        interlaced_conv2d(x, offset, weight, kernel, bias, fold=9)


def test_gradcheck():
    x, *others = inputs((3, 3), dtype=torch.float64, shape=(B, T, 4, 3, 2), outputs=2)
    others[0] = torch.tensor([[0.3, -1.75], [2.5, -0.25]])  # at an integer there are two derivatives
    leaves = [a.double().requires_grad_() for a in (x, *others)]
    assert torch.autograd.gradcheck(
        lambda *leaves: interlaced_conv2d(*leaves, fold=2, padding=(1, 1)), leaves, fast_mode=True
    )


def test_second_derivatives_are_right_or_refused():
    """The gradient is changed in place in the backward; autograd must not take it for what it was."""
    leaves = [a.requires_grad_() for a in inputs()]
    exact_leaves = [a.detach().double().requires_grad_() for a in leaves]
    exact = second_derivative(definition(*exact_leaves, 4), exact_leaves[0])
    try:
        got = second_derivative(interlaced_conv2d(*leaves, fold=4), leaves[0])
    except RuntimeError as error:
        assert "backward" in str(error)  # noqa: PT017 - refused, as the operator alone refuses
    else:
        torch.testing.assert_close(got.double(), exact, rtol=1e-3, atol=1e-1)


def second_derivative(out: Tensor, x: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    return torch.autograd.grad(grad.square().sum(), x)[0]


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_the_gradient_handed_in_is_not_changed(layout):
    x, *others = inputs()
    leaves = [a.requires_grad_() for a in (layout(x), *others)]
    out = interlaced_conv2d(*leaves, fold=4)
    grad = torch.randn_like(out)
    before = grad.clone()
    torch.autograd.grad(out, leaves, grad)
    assert torch.equal(grad, before)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_autocast_is_that_of_a_convolution(layout):
    x, *others = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        out = interlaced_conv2d(layout(x), *others, fold=4)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), definition(x, *others, 4), atol=0.1, rtol=0.05)


def test_autocast_leaves_float64_alone():
    """As it does with torch's convolution."""
    arguments = [a.double() for a in inputs()]
    with torch.autocast("cpu", torch.bfloat16):
        assert interlaced_conv2d(*arguments, fold=4).dtype == torch.float64


def test_on_meta():
    """Where costs are counted."""
    assert interlaced_conv2d(*(a.to("meta") for a in inputs()), fold=4).shape == (B, T, K, H, W)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("outputs", [6, 48])
@pytest.mark.parametrize("last", [False, True])
def test_what_lies_beside_a_slice_does_not_come_in(last, outputs, dtype):
    """Not even times zero: it may be anything."""
    x, *others = inputs(dtype=dtype, outputs=outputs)
    large = torch.full((B + 1, T + 1, 3 * C, H, W), float("nan"), dtype=dtype)
    large = channels_last(large) if last else large
    inside = large[:B, 1:, C : 2 * C]
    inside.copy_(x)
    leaves = [a.requires_grad_() for a in (inside.detach(), *others)]
    out = interlaced_conv2d(*leaves, fold=4)
    torch.testing.assert_close(out, composed(x, *others, 4), atol=0.1, rtol=0.05)
    assert not any(a.isnan().any() for a in torch.autograd.grad(out, leaves, torch.randn_like(out)))


def check_operators() -> None:
    """Also with a kernel as model.to(memory_format=channels_last) leaves it."""
    cases = [("1x1", layout) for layout in (contiguous, channels_last, sliced_last, transposed)]
    for name, layout in [*cases, ("3x3 stride", contiguous), ("depthwise", channels_last)]:
        size, geometry = GEOMETRIES[name]
        pairs = [geometry.get(key, (i, i)) for key, i in (("stride", 1), ("padding", 0), ("dilation", 1))]
        numbers = [n for pair in pairs for n in pair] + [geometry.get("groups", 1)]
        for last in (False, True) if name == "1x1" else (False,):
            x, offset, weight, kernel, bias = inputs(
                size, geometry.get("groups", 1), outputs=0 if name == "depthwise" else 16
            )
            kernel = kernel.to(memory_format=torch.channels_last) if last else kernel
            x, offset, weight, kernel, bias = (
                a.requires_grad_() for a in (layout(x), offset, weight, kernel, bias)
            )
            results = opcheck(
                torch.ops.interlace.conv2d.default, (x, offset, weight, 4, kernel, bias, numbers, last)
            )
            assert set(results.values()) == {"SUCCESS"}


def test_opcheck():
    """In a process of its own: the shape check of the test run does not know symbolic sizes."""
    code = f"import runpy; runpy.run_path({__file__!r})['check_operators']()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_compiles_as_one_graph():
    leaves = [a.requires_grad_() for a in inputs()]
    function = inspect.unwrap(interlaced_conv2d)
    compiled = torch.compile(lambda *a: function(*a, fold=4), fullgraph=True, backend="aot_eager")
    out, reference = compiled(*leaves), composed(*leaves, 4)
    torch.testing.assert_close(out, reference)
    got, wanted = (torch.autograd.grad(a.square().sum(), leaves) for a in (out, reference))
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_vmap_over_the_batch(layout):
    x, offset, weight, kernel, bias = inputs()
    clips = torch.stack([layout(x), layout(x) + 1, layout(x) - 1])
    offsets = torch.stack([offset, -offset, offset + 0.5])
    out = torch.func.vmap(
        lambda x, offset: interlaced_conv2d(x, offset, weight, kernel, bias, fold=4), randomness="error"
    )(clips, offsets)
    for i in range(3):
        torch.testing.assert_close(out[i], composed(clips[i], offsets[i], weight, kernel, bias, 4))


@pytest.mark.skipif(
    not has_kernels(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)
def test_two_threads_give_the_same_bits():
    x, *others = inputs(shape=(1, 3, 36, 23, 29), outputs=70)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(interlaced_conv2d(x, *others, fold=8))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", GEOMETRIES)
def test_cuda_equals_the_cpu(name):
    size, geometry = GEOMETRIES[name]
    leaves = inputs(size, geometry.get("groups", 1), torch.float64)
    leaves = [a.double().requires_grad_() for a in leaves]
    far = [a.detach().cuda().requires_grad_() for a in leaves]
    out, far_out = (interlaced_conv2d(*a, fold=4, **geometry) for a in (leaves, far))
    torch.testing.assert_close(far_out.cpu(), out)
    grad = torch.randn_like(out)
    got = torch.autograd.grad(far_out, far, grad.cuda())
    wanted = torch.autograd.grad(out, leaves, grad)
    torch.testing.assert_close([a.cpu() for a in got], list(wanted))
