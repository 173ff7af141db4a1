"""The GPU kernels: on a GPU where there is one, else in Triton's interpreter, which runs them in numpy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from interlace.ops import interlace, temporal_shift
from interlace.ops.shift import whole_frames

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Older interpreters cannot loop as often as a number says that is known only at run time, with numpy 2.4.
triton = pytest.importorskip(
    "triton",
    minversion=None if DEVICE == "cuda" else "3.9",
    reason="the kernels of the GPU need triton, 3.9 where there is no GPU",
)
GPUTarget = importlib.import_module("triton.backends.compiler").GPUTarget

FILES = ("interlace.ops._triton", "interlace.ops._triton_conv")
B, T, C, H, W = 2, 3, 8, 3, 5


@contextmanager
def fresh_kernels(interpret: bool) -> Iterator[SimpleNamespace]:
    """The kernels' files, imported once more: @triton.jit asks at import whether it shall interpret."""
    with pytest.MonkeyPatch.context() as patch, triton.knobs.runtime.scope(), triton.knobs.cache.scope():
        for name in FILES:
            patch.delitem(sys.modules, name, raising=False)
        triton.knobs.runtime.interpret = interpret
        clip, conv = (importlib.import_module(name) for name in FILES)
        for name in FILES:  # what others import from now on is not this
            patch.delitem(sys.modules, name)
        yield SimpleNamespace(clip=clip, conv=conv)


@pytest.fixture(scope="module")
def kernels() -> Iterator[SimpleNamespace]:
    with fresh_kernels(interpret=DEVICE == "cpu") as fresh:
        yield fresh


def inputs(
    dtype: torch.dtype = torch.float32,
    num_frames: int = T,
    G: int = 2,
    shape: tuple[int, int, int] = (C, H, W),
) -> tuple[Tensor, Tensor, Tensor]:
    """A clip, offsets of all kinds, weights."""
    x = torch.randn(B, num_frames, *shape, dtype=torch.float64)
    offset = torch.tensor([[0.3, -1.75, 1.0, 0.0], [-0.625, 1.375, -9.5, 1e30]], dtype=torch.float64)[:, :G]
    weight = 2 * torch.rand(B, num_frames, G, dtype=torch.float64)
    side = torch.promote_types(dtype, torch.float32)
    return x.to(DEVICE, dtype), offset.to(DEVICE, side), weight.to(DEVICE, side)


def definition(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """The hat function as it is written, in float64, one T x T matrix for each sample and group."""
    x, offset, weight = x.double(), offset.double(), weight.double()
    t = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)
    hat = (1 - (t[:, None] - t[None, :] - offset[:, :, None, None]).abs()).clamp(min=0)
    matrix = weight.transpose(1, 2)[..., None] * hat
    groups = x[:, :, :fold].unflatten(2, (offset.shape[1], -1))
    moved = torch.einsum("bgts,bsgchw->btgchw", matrix, groups).flatten(2, 3)
    return torch.cat([moved, x[:, :, fold:]], 2)


def plain(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    return torch.cat([interlace(x[:, :, :fold], offset, weight), x[:, :, fold:]], 2)


def contiguous(x: Tensor) -> Tensor:
    return x


def channels_last(x: Tensor) -> Tensor:
    return x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2])


def sliced(x: Tensor) -> Tensor:
    return torch.cat([x, x], 2)[:, :, : x.shape[2]]


def sliced_last(x: Tensor) -> Tensor:
    return channels_last(torch.cat([x, x], 2))[:, :, : x.shape[2]]


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


LAYOUTS = [contiguous, channels_last, sliced, sliced_last, transposed]


def assert_as_good(got: Tensor, by_torch: Tensor, exact: Tensor, luck: float = 0.25) -> None:
    """The error is at most twice that of plain torch in the same precision, but for some luck in rounding."""
    # The interpreter cuts float32 off to bfloat16 where a GPU rounds: twice the error again.
    allowed = 4 if got.dtype == torch.bfloat16 and DEVICE == "cpu" else 2
    one = torch.finfo(got.dtype).eps * exact.abs().max()
    error, plain_error = ((a.double() - exact).abs().max() for a in (got, by_torch))
    assert error <= allowed * plain_error + luck * one


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fold", [4, 8])
def test_equals_the_definition_in_any_layout(kernels, layout, fold):
    x, offset, weight = inputs()
    x = layout(x)
    out = kernels.clip.forward(x, offset, weight, fold)
    assert_as_good(out, plain(x, offset, weight, fold), definition(x, offset, weight, fold))
    assert torch.equal(out[:, :, fold:], x[:, :, fold:])
    assert out.stride() == torch.empty_like(x).stride()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(kernels, dtype):
    x, offset, weight = inputs(dtype, G=4)
    out = kernels.clip.forward(x, offset, weight, 8)
    assert out.dtype == dtype
    assert_as_good(out, plain(x, offset, weight, 8), definition(x, offset, weight, 8))


@pytest.mark.parametrize("G", [1, 2, 4])
@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_groups_and_lengths(kernels, G, num_frames):
    x, offset, weight = inputs(num_frames=num_frames, G=G)
    out = kernels.clip.forward(channels_last(x), offset, weight, 4)
    torch.testing.assert_close(out, definition(x, offset, weight, 4).float())


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_sizes_that_divide_into_nothing(kernels, layout):
    x, offset, weight = inputs(G=3, shape=(11, 7, 13))
    out = kernels.clip.forward(layout(x), offset, weight, 9)
    torch.testing.assert_close(out, definition(x, offset, weight, 9).float())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's, for what is then not chosen
@pytest.mark.parametrize("offset", [3.0, 4.5, 1e30, float("inf"), -3.0, -4.5, -1e30, float("-inf")])
def test_nothing_is_left_beyond_the_clip(kernels, offset):
    x, _, weight = inputs()
    out = kernels.clip.forward(x, torch.full_like(weight[:, 0], offset), weight, 4)
    assert not out[:, :, :4].any()


def test_not_a_number_stays_visible(kernels):
    x, offset, weight = inputs()
    offset[1, 1] = float("nan")
    out = kernels.clip.forward(x, offset, weight, 4)
    assert out[1, :, 2:4].isnan().all()
    assert out.isnan().sum() == T * 2 * H * W


@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_integer_offsets_equal_the_temporal_shift_bit_for_bit(kernels, layout):
    x, _, weight = inputs()
    offset = torch.tensor([[-1.0, 1.0]] * B, device=DEVICE)
    out = kernels.clip.forward(layout(x), offset, torch.ones_like(weight), 4)
    assert torch.equal(out, temporal_shift(x, fold_div=4))


def test_strided_offsets_and_weights(kernels):
    x, offset, weight = inputs()
    out = kernels.clip.forward(x, offset.T.contiguous().T, weight.mT.contiguous().mT, 4)
    assert torch.equal(out, kernels.clip.forward(x, offset, weight, 4))


@pytest.mark.parametrize("shape", [(0, T, C, H, W), (B, T, C, 0, W)])
def test_empty_clips(kernels, shape):
    x, offset, weight = torch.zeros(shape), torch.zeros(shape[0], 2), torch.ones(shape[0], T, 2)
    x, offset, weight = (a.to(DEVICE) for a in (x, offset, weight))
    assert kernels.clip.forward(x, offset, weight, 4).shape == shape
    grad_x, grad_offset, grad_weight = kernels.clip.backward(x, x, offset, weight, 4)
    assert grad_x.shape == shape
    assert not grad_offset.any()
    assert not grad_weight.any()


@pytest.mark.parametrize(("layout", "of_grad"), [*((x, x) for x in LAYOUTS), (channels_last, contiguous)])
@pytest.mark.parametrize("fold", [4, 8])
def test_gradients_equal_autograd_of_the_definition(kernels, layout, of_grad, fold):
    x, offset, weight = inputs(num_frames=5)
    grad = torch.randn_like(x)
    wanted = gradients(definition, x, offset, weight, fold, grad)
    by_torch = gradients(plain, x, offset, weight, fold, grad)
    got = kernels.clip.backward(of_grad(grad), layout(x), offset, weight, fold)
    assert_as_good(got[0], by_torch[0], wanted[0])
    for each in list(zip(got, by_torch, wanted, strict=True))[1:]:
        assert_as_good(*each, luck=1)  # a few long sums
    assert got[0].stride() == torch.empty_like(layout(x)).stride()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_gradients_in_other_precisions(kernels, dtype):
    x, offset, weight = inputs(dtype, G=4)
    grad = torch.randn_like(x)
    wanted = gradients(definition, x, offset, weight, 8, grad)
    by_torch = gradients(plain, x, offset, weight, 8, grad)
    got = kernels.clip.backward(grad, x, offset, weight, 8)
    assert [a.dtype for a in got] == [a.dtype for a in by_torch]
    assert_as_good(got[0], by_torch[0], wanted[0])
    for each in list(zip(got, by_torch, wanted, strict=True))[1:]:
        assert_as_good(*each, luck=1)  # a few long sums


def gradients(function, x, offset, weight, fold, grad) -> tuple[Tensor, Tensor, Tensor]:
    leaves = [a.clone().requires_grad_() for a in (x, offset, weight)]
    if function is definition:
        leaves = [a.detach().double().requires_grad_() for a in leaves]
    out = function(*leaves, fold)
    return torch.autograd.grad(out, leaves, grad.to(out.dtype))


def test_gradient_of_one_frame_and_of_integers(kernels):
    """At an integer it is the right derivative, as in torch; where nothing is left it is zero."""
    x, _, weight = inputs(num_frames=1)
    offset = torch.tensor([[0.0, -1.0], [1.0, -2.0]], device=DEVICE)
    grad = torch.randn_like(x)
    got = kernels.clip.backward(grad, x, offset, weight, 4)
    for a, b in zip(got, gradients(plain, x, offset, weight, 4, grad), strict=True):
        torch.testing.assert_close(a, b)
    assert got[1][0].all()
    assert not got[1][1].any()


def test_gradient_spread_from_a_sum(kernels):
    """What autograd makes of out.mean((-1, -2)): a gradient without strides over the pixels."""
    x, offset, weight = inputs()
    grad = torch.randn(B, T, C, 1, 1, device=DEVICE).expand_as(x)
    got = kernels.clip.backward(grad, x, offset, weight, 4)
    for a, b in zip(got, kernels.clip.backward(grad.contiguous(), x, offset, weight, 4), strict=True):
        torch.testing.assert_close(a, b)


def test_adjoint_identity(kernels):
    x, offset, weight = inputs(torch.float64)
    g = torch.randn_like(x)
    there = (g * kernels.clip.forward(x, offset, weight, 4)).sum()
    torch.testing.assert_close((kernels.clip.backward(g, x, offset, weight, 4)[0] * x).sum(), there)


@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_shift(kernels, mode, layout):
    x = layout(torch.randn(B, T, C, H, W, device=DEVICE))
    offset = whole_frames(mode, x)
    weight, fold = torch.ones(B, T, offset.shape[1], device=DEVICE), 2 * offset.shape[1]
    out = kernels.clip.forward(x, offset, weight, fold)
    assert torch.equal(out, temporal_shift(x, 4, mode))
    assert out.stride() == torch.empty_like(x).stride()
    g = torch.randn_like(x)
    x.requires_grad_()
    (wanted,) = torch.autograd.grad(temporal_shift(x, 4, mode), x, g)
    assert torch.equal(kernels.clip.backward(g, x.detach(), offset, weight, fold)[0], wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_convolution(kernels, layout, dtype):
    x, offset, weight = inputs(dtype, shape=(20, H, W))
    x = layout(x)
    matrix = torch.randn(18, 20).to(DEVICE, dtype)
    scale, bias = torch.rand(2, 18, device=DEVICE)
    got = kernels.conv.interlaced_conv1x1(x, offset, weight, 12, matrix, scale, bias, True)
    assert_as_good(
        got,
        convolution(plain(x, offset, weight, 12), matrix, scale, bias).relu().to(dtype),
        convolution(definition(x, offset, weight, 12), matrix.double(), scale, bias).relu(),
    )
    last = layout in (channels_last, sliced_last)
    assert got.flatten(0, 1).is_contiguous(
        memory_format=torch.channels_last if last else torch.contiguous_format
    )


def convolution(x: Tensor, matrix: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    out = torch.einsum("kc,btchw->btkhw", matrix, x)
    return out * scale[:, None, None] + bias[:, None, None]


class Offline:
    """Stands for a GPU of some generation; what is compiled for it is never run."""

    def __init__(self, generation: int) -> None:
        self.target = GPUTarget("cuda", generation, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


class Compiler:
    """Stands for a kernel and keeps what its launches compile to, with the first fitting configuration."""

    def __init__(self, kernel, compiled: list) -> None:
        self.kernel, self.compiled = kernel, compiled

    def __getitem__(self, grid):
        def launch(*arguments, **meta):
            jit = self.kernel
            if isinstance(jit, triton.runtime.Autotuner):
                jit.nargs = dict(zip(jit.arg_names, arguments, strict=False))
                meta |= jit.prune_configs(meta)[0].all_kwargs()
                jit = jit.fn
            self.compiled.append(jit.warmup(*arguments, grid=(1,), **meta))

        return launch


@pytest.mark.parametrize("generation", [80, 90])
@pytest.mark.parametrize(("dtype", "layout"), [(torch.float32, contiguous), (torch.bfloat16, channels_last)])
def test_the_gpu_compiler_accepts_what_the_interpreter_does(generation, dtype, layout, tmp_path):
    names = ("_forward_kernel", "_backward_kernel", "_dots_kernel", "_conv_kernel")
    compiled: list = []
    with fresh_kernels(interpret=False) as kernels, pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton.runtime.driver, "_active", Offline(generation))
        triton.knobs.cache.dir = str(tmp_path)
        for name in names:
            module = kernels.conv if name == "_conv_kernel" else kernels.clip
            patch.setattr(module, name, Compiler(getattr(module, name), compiled))
        x, offset, weight = (a.cpu() for a in inputs(dtype, shape=(64, 8, 8), G=2))
        x = layout(x)
        kernels.clip.forward(x, offset, weight, 16)
        kernels.clip.backward(x, x, offset, weight, 16)
        kernels.conv.interlaced_conv1x1(x, offset, weight, 16, x.new_ones(32, 64), None, x.new_ones(32), True)
    assert [kernel.name for kernel in compiled] == list(names)
    for kernel in compiled:
        assert f".target sm_{generation}" in kernel.asm["ptx"]
        assert "ld.global.v4" in kernel.asm["ptx"] or kernel.name in ("_dots_kernel", "_conv_kernel")


def test_convolution_alone(kernels):
    x, offset, weight = inputs()
    matrix = torch.randn(5, C, device=DEVICE)
    got = kernels.conv.interlaced_conv1x1(x, offset, weight, 4, matrix, None, None, False)
    wanted = torch.einsum("kc,btchw->btkhw", matrix.double(), definition(x, offset, weight, 4))
    torch.testing.assert_close(got.double(), wanted, atol=1e-5, rtol=1e-5)
    assert (got < 0).any()
