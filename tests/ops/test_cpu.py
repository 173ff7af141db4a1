"""The compiled kernels against the definition in float64; their error is at most twice that of plain torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from interlace.ops import _cpu, _dispatch

pytestmark = pytest.mark.skipif(
    not _cpu.supports(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)

B, T, C, H, W = 2, 4, 8, 5, 7
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def contiguous(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def sliced(x: Tensor) -> Tensor:
    return torch.cat([x, x + 1, x], 2)[:, :, : x.shape[2]]


def sliced_last(x: Tensor) -> Tensor:
    return channels_last(torch.cat([x + 1, x, x], 2))[:, :, x.shape[2] : 2 * x.shape[2]]


def every_second_frame(x: Tensor) -> Tensor:
    return torch.stack([x, x + 1], 2).flatten(1, 2)[:, ::2]


def samples_inside(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def frames_innermost(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


LAYOUTS = [
    contiguous,
    channels_last,
    sliced,
    sliced_last,
    every_second_frame,
    samples_inside,
    transposed,
    frames_innermost,
]
# What expand makes: which sizes are 1 before it.
EXPANDED = [(0,), (1,), (2,), (3,), (4,), (3, 4), (0, 1), (0, 3, 4), (0, 1, 3, 4), (1, 3, 4), (0, 1, 2, 3, 4)]


def inputs(dtype: torch.dtype, shape: tuple[int, ...] = (B, T, C, H, W)) -> tuple[Tensor, Tensor, Tensor]:
    """A clip, offsets of all kinds for two groups, weights."""
    x = torch.randn(shape)
    offset = torch.tensor([[0.3, -1.75], [-9.5, 1.375], [1.0, 0.0]])[: shape[0]]
    return x.to(dtype), offset, 2 * torch.rand(shape[0], shape[1], 2)


def definition(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> Tensor:
    """The hat function as it is written, one T x T matrix for each sample and group."""
    t = torch.arange(x.shape[1], dtype=x.dtype)
    hat = (1 - (t[:, None] - t[None, :] - offset[:, :, None, None]).abs()).clamp(min=0)
    matrix = weight.transpose(1, 2)[..., None] * hat
    groups = x[:, :, :fold].unflatten(2, (offset.shape[1], -1))
    moved = torch.einsum("bgts,bsgchw->btgchw", matrix, groups).flatten(2, 3)
    return torch.cat([moved, x[:, :, fold:]], 2)


def exact_gradients(grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> tuple[Tensor, ...]:
    leaves = [a.detach().double().contiguous().requires_grad_() for a in (x, offset, weight)]
    return torch.autograd.grad(definition(*leaves, fold), leaves, grad.double())


def assert_as_good(got: Tensor, by_torch: Tensor, exact: Tensor, luck: float = 0.25) -> None:
    """At most twice the error of plain torch in the same precision, but for some luck in rounding."""
    assert got.dtype == by_torch.dtype
    one = torch.finfo(got.dtype).eps * exact.abs().max()
    error, plain_error = ((a.double() - exact).abs().max() for a in (got, by_torch))
    assert error <= 2 * plain_error + luck * one


def assert_forward(x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> None:
    out = _cpu.forward(x, offset, weight, fold)
    by_torch = _dispatch._plain_forward(x, offset, weight, fold)
    exact = definition(x.double(), offset.double(), weight.double(), fold)
    assert_as_good(out, by_torch, exact)
    assert torch.equal(out[:, :, fold:], x[:, :, fold:])


def assert_backward(grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, fold: int) -> None:
    got = _cpu.backward(grad, x, offset, weight, fold, with_factors=True, in_place=False)
    by_torch = _dispatch._plain_backward(grad, x, offset, weight, fold)
    exact = exact_gradients(grad, x, offset, weight, fold)
    for name, *each in zip("xow", got, by_torch, exact, strict=True):
        assert_as_good(*each, luck=0.25 if name == "x" else 4)  # a few long sums
    assert torch.equal(got[0][:, :, fold:], grad[:, :, fold:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fold", [4, 8])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_forward(layout, fold, dtype):
    x, offset, weight = inputs(dtype)
    assert_forward(layout(x), offset, weight, fold)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_grad", [contiguous, channels_last, sliced, sliced_last, transposed])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients(layout, of_grad, dtype):
    x, offset, weight = inputs(dtype)
    assert_backward(of_grad(torch.randn(B, T, C, H, W).to(dtype)), layout(x), offset, weight, 4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_laid_out_as_the_compiler_was_told(layout):
    """What torch.compile plans with, it also asserts."""
    x, offset, weight = inputs(torch.float32)
    x, offset, weight = layout(x), offset.T.contiguous().T, weight.mT.contiguous().mT
    assert _cpu.forward(x, offset, weight, 4).stride() == torch.empty_like(x).stride()
    grads = torch.ops.interlace.interlace_backward(x, x, offset, weight, 4, True)
    assert [a.stride() for a in grads] == [torch.empty_like(a).stride() for a in (x, offset, weight)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [contiguous, channels_last, sliced, sliced_last])
def test_frames_cut_into_pieces_that_divide_into_nothing(layout, dtype):
    x, offset, weight = inputs(dtype, (3, T, 90, 23, 19))
    assert_forward(layout(x), offset, weight, 86)
    assert_backward(torch.randn(x.shape).to(dtype), layout(x), offset, weight, 86)


@pytest.mark.parametrize("axes", EXPANDED)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_expanded_clips_and_gradients(layout, axes):
    x, offset, weight = inputs(torch.float32)
    narrow = x
    for axis in axes:
        narrow = narrow.narrow(axis, 0, 1)
    wide = layout(narrow).expand(x.shape)
    assert_forward(wide, offset, weight, 4)
    assert_backward(layout(torch.randn_like(x)), wide, offset, weight, 4)
    assert_backward(wide, layout(x), offset, weight, 4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 2, 1, 1), (2, 1, C, H, W), (3, 2, 2, 1, 7), (1, 5, 3, 6, 1), (2, 3, 70, 1, 1), (2, T, 2, H, W)],
)
def test_sizes_of_one(shape, layout):
    x, offset, weight = inputs(torch.float32, shape)
    fold = shape[2] // 2 * 2
    assert_forward(layout(x), offset, weight, fold)
    assert_backward(layout(torch.randn_like(x)), layout(x), offset, weight, fold)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_channel_of_many(layout):
    """Its strides say little about the layout."""
    x, offset, weight = inputs(torch.float32)
    one, grad = layout(x)[:, :, 3:4], layout(torch.randn_like(x))[:, :, 5:6]
    assert_forward(one, offset[:, :1], weight[:, :, :1], 1)
    assert_backward(grad, one, offset[:, :1], weight[:, :, :1], 1)


@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize("shape", [(0, T, C, H, W), (B, 0, C, H, W), (B, T, C, 0, W), (B, T, C, H, 0)])
def test_nothing_to_do(shape, layout):
    x, offset, weight = layout(torch.zeros(shape)), torch.rand(shape[0], 2), torch.rand(*shape[:2], 2)
    assert _cpu.forward(x, offset, weight, 4).shape == shape
    grads = _cpu.backward(x, x, offset, weight, 4, with_factors=True, in_place=False)
    assert [a.shape for a in grads] == [x.shape, offset.shape, weight.shape]
    assert not any(a.any() for a in grads[1:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
@pytest.mark.parametrize(
    "value", [3.999, 4.0, -3.999, -4.0, 4.5, -5.0, 5.0, -6.5, 1e30, -1e30, float("inf"), float("-inf")]
)
def test_offsets_at_and_beyond_the_end_of_the_clip(value, layout, dtype):
    x, _, weight = inputs(dtype)
    offset = torch.tensor([[value, 0.5], [0.25, value]])
    assert_forward(layout(x), offset, weight, 4)
    assert_backward(layout(torch.randn(x.shape).to(dtype)), layout(x), offset, weight, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_not_a_number_stays_where_it_is(layout, dtype):
    x, offset, weight = inputs(dtype)
    offset[1, 0] = float("nan")
    out = _cpu.forward(layout(x), offset, weight, 4)
    assert out[1, :, :2].isnan().all()
    assert out.isnan().sum() == T * 2 * H * W
    grads = _cpu.backward(layout(x), layout(x), offset, weight, 4, with_factors=True, in_place=False)
    assert grads[0][1, :, :2].isnan().all()
    assert grads[0].isnan().sum() == T * 2 * H * W
    assert grads[2].isnan().nonzero().tolist() == [[1, t, 0] for t in range(T)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_that_are_not_finite_pass_and_are_weighed(dtype):
    """With LANES of 16 and a remainder; rounding to bfloat16 shall not turn them into one another."""
    special = [float("inf"), float("-inf"), float("nan"), 0.0, -0.0, torch.finfo(dtype).max, 1.0]
    x = torch.tensor(special * 5, dtype=dtype).reshape(1, 1, 1, 5, 7)
    for weight in (1.0, 0.5):
        out = _cpu.forward(x, torch.zeros(1, 1), torch.full((1, 1, 1), weight), 1)
        assert torch.equal(out.nan_to_num(7.0), (x * weight).nan_to_num(7.0))
        assert torch.equal(out.isnan(), x.isnan())


def test_bfloat16_is_rounded_as_in_torch():
    """Ties go to even, too large numbers become infinite; what is below the normal ones may become zero."""
    halves = torch.arange(0x0800, 0x7F80, 3, dtype=torch.int32)
    x = (halves << 16).view(torch.float32).to(torch.bfloat16)[None, None, None, None]
    for weight in (1.5, 1.0 + 2**-8, 0.3333, 3.0, 2.0**-9):
        out = _cpu.forward(x, torch.zeros(1, 1), torch.full((1, 1, 1), weight), 1)
        assert torch.equal(out, (x.float() * weight).bfloat16())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [7, 16, 600])
def test_whole_frames_are_moved_bit_for_bit(dtype, width):
    """Numbers below the normal ones too, in rows of any length."""
    x = torch.randn(1, 3, 1, 1, width).to(dtype)
    x[..., ::3] = torch.finfo(dtype).tiny / 8
    out = _cpu.forward(x, torch.ones(1, 1), torch.ones(1, 3, 1), 1)
    assert torch.equal(out[:, 1:], x[:, :-1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_adjoint_identity(layout, dtype):
    x, offset, weight = inputs(dtype)
    x, g = layout(x), torch.randn(x.shape).to(dtype)
    out = _cpu.forward(x, offset, weight, 4).double()
    back = _cpu.backward(g, x, offset, weight, 4, with_factors=False, in_place=False)[0].double()
    size = (g.double() * out).abs().sum()
    difference = (g.double() * out).sum() - (back * x.double()).sum()
    assert difference.abs() <= 2 * torch.finfo(dtype).eps * size


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("of_grad", [contiguous, channels_last, sliced_last])
def test_the_gradient_in_place(layout, of_grad):
    x, offset, weight = inputs(torch.float32)
    grad = of_grad(torch.randn_like(x))
    wanted = _cpu.backward(grad, layout(x), offset, weight, 4, with_factors=True, in_place=False)
    factors = torch.ops.interlace.interlace_backward_(grad, layout(x), offset, weight, 4, True)
    assert torch.equal(grad, wanted[0])
    assert torch.equal(factors[0], wanted[1])
    assert torch.equal(factors[1], wanted[2])


def test_what_is_not_asked_for_is_not_computed():
    x, offset, weight = inputs(torch.float32)
    wanted = _cpu.backward(x, x, offset, weight, 4, with_factors=True, in_place=False)[0]
    got = _cpu.backward(x, x, offset, weight, 4, with_factors=False, in_place=False)
    assert torch.equal(got[0], wanted)
    assert got[1:] == (None, None)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_offsets_of_another_dtype_get_gradients_of_theirs(dtype):
    x, offset, weight = inputs(torch.float32)
    grads = _cpu.backward(x, x, offset.to(dtype), weight.to(dtype), 4, with_factors=True, in_place=False)
    assert [a.dtype for a in grads] == [torch.float32, dtype, dtype]


def test_strided_offsets_and_weights():
    x, offset, weight = inputs(torch.float32)
    wanted = _cpu.forward(x, offset, weight, 4)
    assert torch.equal(_cpu.forward(x, offset.T.contiguous().T, weight.mT.contiguous().mT, 4), wanted)
    same = offset[:1].expand(B, 2), weight[:1].expand(B, T, 2)
    assert torch.equal(_cpu.forward(x, *same, 4), _cpu.forward(x, *(a.contiguous() for a in same), 4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
def test_nothing_is_written_beside_the_output(last, dtype):
    """Into a slice of samples, frames and channels of a larger tensor, whose other elements stay what they were."""
    x, offset, weight = inputs(dtype, (B, T, 12, 13, 11))
    guarded = torch.full((B + 2, T + 2, 36, 13, 11), 99.0, dtype=dtype)
    guarded = channels_last(guarded) if last else guarded
    x = channels_last(x) if last else x
    inside = (slice(1, 1 + B), slice(1, 1 + T), slice(12, 24))
    for grad in (None, x.flip(3)):
        out = guarded.clone()[inside]
        call = _cpu._call(x, offset, weight, 8, out)
        wanted = _cpu.forward(x, offset, weight, 8)
        if grad is not None:
            grad = channels_last(grad) if last else grad.contiguous()
            call.grad = _cpu._operand(grad)
            wanted = _cpu.backward(grad, x, offset, weight, 8, with_factors=False, in_place=False)[0]
        _cpu._run(call, dtype)
        around = guarded.clone()
        around[inside] = wanted
        assert torch.equal(out, wanted)
        assert torch.equal(out._base if out._base.shape == around.shape else out._base.movedim(-1, 2), around)


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [contiguous, channels_last])
def test_one_thread_and_two_give_the_same_bits(layout, dtype):
    x, offset, weight = inputs(dtype, (3, T, 90, 23, 19))
    x, grad = layout(x), layout(torch.randn(x.shape).to(dtype))
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        back = _cpu.backward(grad, x, offset, weight, 60, with_factors=True, in_place=False)
        results.append([_cpu.forward(x, offset, weight, 60), *back])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("offset", "weight", "fold"),
    [((1, 2), (2, 4, 2), 4), ((2, 2), (2, 3, 2), 4), ((2, 3), (2, 4, 3), 4), ((2, 2), (2, 4, 2), 10)],
)
def test_operators_called_directly_check_what_they_are_given(offset, weight, fold):
    x = torch.randn(2, 4, 8, 5, 7)
    with pytest.raises(ValueError, match="do not fit x"):
        torch.ops.interlace.interlace(x, torch.zeros(offset), torch.ones(weight), fold)
    with pytest.raises(ValueError, match="do not fit x"):
        torch.ops.interlace.interlace_backward(x, x, torch.zeros(offset), torch.ones(weight), fold, True)


def test_parameters_that_do_not_fit_are_refused():
    x = torch.randn(2, 4, 8, 5, 7)
    with pytest.raises(ValueError, match="do not fit clips"):
        inspect.unwrap(_cpu.nets)(x, [torch.zeros(1, 4, 3)] * 8, 2.0, True)


def test_one_channel_is_contiguous():
    assert not _cpu.has_conv_rows(torch.randn(1, 4, 1, 5, 7), 1, 16)
