from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch.library import opcheck

from interlace.ops import _index, _slices, interlace, temporal_shift
from interlace.ops._dispatch import taps

B, T, C, G, H, W = 2, 4, 6, 3, 5, 7


def inputs(
    dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, C, H, W, generator=generator, dtype=torch.float64)
    offset = torch.tensor([[0.3, -1.7, 2.6], [-0.2, 4.4, -3.5]], dtype=torch.float64)
    weight = 2 * torch.rand(B, T, G, generator=generator, dtype=torch.float64)
    return x.to(dtype), offset.to(dtype), weight.to(dtype)


def definition(
    x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor, fold: int | None = None
) -> torch.Tensor:
    """The hat function as it is written, one T x T matrix for each sample and group."""
    if fold is not None:
        return torch.cat([definition(x[:, :, :fold], offset, weight), x[:, :, fold:]], 2)
    t = torch.arange(x.shape[1], dtype=x.dtype)
    hat = (1 - (t[:, None] - t[None, :] - offset[:, :, None, None]).abs()).clamp(min=0)
    matrix = weight.transpose(1, 2)[..., None] * hat
    groups = x.unflatten(2, (offset.shape[1], -1))
    return torch.einsum("bgts,bsgchw->btgchw", matrix, groups).flatten(2, 3)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2])


def test_equals_the_definition():
    x, offset, weight = inputs()
    torch.testing.assert_close(interlace(x, offset, weight), definition(x, offset, weight))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("fold", [3, 6])
@pytest.mark.parametrize("last", [False, True])
def test_only_the_first_channels_move(last, fold, dtype):
    leaves = [a.requires_grad_() for a in inputs(dtype)]
    x = channels_last(leaves[0]) if last else leaves[0]
    out, wanted = interlace(x, *leaves[1:], fold), definition(*leaves, fold)
    torch.testing.assert_close(out, wanted)
    assert torch.equal(out[:, :, fold:], x[:, :, fold:])
    grad = torch.randn_like(out)
    got, wanted = (torch.autograd.grad(a, leaves, grad) for a in (out, wanted))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(got[0][:, :, fold:], grad[:, :, fold:])


def test_a_positive_offset_delays():
    x = torch.tensor([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1, 1, 1)
    assert interlace(x, torch.tensor([[1.0]])).flatten().tolist() == [0, 1, 2, 4]
    assert interlace(x, torch.tensor([[-1.0]])).flatten().tolist() == [2, 4, 8, 0]
    assert interlace(x, torch.tensor([[0.25]])).flatten().tolist() == [0.75, 1.75, 3.5, 7]
    assert interlace(x, torch.tensor([[-0.25]])).flatten().tolist() == [1.25, 2.5, 5, 6]


def test_weights_belong_to_target_frames():
    x = torch.ones(1, 4, 1, 1, 1)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    assert interlace(x, torch.tensor([[1.0]]), weight).flatten().tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("offset", [4.0, 5.0, 100.3, 1e30, float("inf"), -4.0, -5.5, -1e30, float("-inf")])
@pytest.mark.parametrize("kernel", [_slices, _index])
def test_nothing_is_left_beyond_the_clip(offset, kernel):
    x, _, weight = inputs(torch.float32)
    k, _, near, far = taps(torch.full((B, G), offset), weight, x.dtype)
    assert not kernel.forward(x, k, near, far).any()


# At -4 itself the right derivative sees the last frame come in.
@pytest.mark.parametrize("offset", [4.0, 1e30, float("inf"), -4.01, -1e30, float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("last", [False, True])
def test_beyond_the_clip_there_is_no_gradient(last, dtype, offset):
    x, _, weight = inputs(dtype)
    offset = torch.full((B, G), offset, dtype=dtype)
    leaves = [a.requires_grad_() for a in (channels_last(x) if last else x, offset, weight)]
    out = interlace(*leaves)
    assert not out.any()
    assert not any(grad.any() for grad in torch.autograd.grad(out, leaves, torch.randn_like(out)))


def test_not_a_number_stays_visible():
    x, offset, weight = inputs(torch.float32)
    offset[1, 2] = float("nan")
    assert interlace(x, offset, weight)[1, :, 4:].isnan().all()


def test_integer_offsets_equal_the_temporal_shift_bit_for_bit():
    x = torch.randn(2, 5, 8, 3, 4)
    out = interlace(x, torch.tensor([[-1.0, 1.0, 0.0, 0.0]] * 2))
    assert torch.equal(out, temporal_shift(x, fold_div=4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
@pytest.mark.parametrize("last", [False, True])
def test_the_temporal_shift_is_an_interlacing_by_whole_frames(last, mode, dtype):
    """Outputs and gradients, bit for bit."""
    x, grad = torch.randn(2, 2, 5, 8, 3, 4).to(dtype)
    x = (channels_last(x) if last else x).requires_grad_()
    offset = torch.tensor([[-1.0, 1.0] if mode == "bidirectional" else [1.0]] * 2)
    out, wanted = interlace(x, offset, None, 2 * offset.shape[1]), temporal_shift(x, 4, mode)
    assert torch.equal(out, wanted)
    assert torch.equal(*(torch.autograd.grad(a, x, grad)[0] for a in (out, wanted)))


@pytest.mark.parametrize("num_frames", [1, 2])
def test_short_clips(num_frames):
    x, offset, weight = (a[:, :num_frames] if a.ndim > 2 else a for a in inputs())
    torch.testing.assert_close(interlace(x, offset, weight), definition(x, offset, weight))


@pytest.mark.parametrize("shape", [(0, 4, 6, 5, 7), (2, 4, 6, 0, 7)])
def test_empty_clips(shape):
    assert interlace(torch.zeros(shape), torch.zeros(shape[0], 3)).shape == shape


@pytest.mark.parametrize("last", [False, True])
def test_both_implementations_agree_with_autograd_of_the_definition(last):
    x, offset, weight = inputs()
    x, grad = (channels_last(a) if last else a for a in (x, torch.randn_like(x)))
    wanted = torch.autograd.functional.vjp(definition, (x, offset, weight), grad)[1]
    k, phi, near, far = taps(offset, weight, x.dtype)
    for kernel in (_slices, _index):
        torch.testing.assert_close(kernel.forward(x, k, near, far), definition(x, offset, weight))
        grad_x, dot_near, dot_far = kernel.backward(grad, x, k, near, far)
        torch.testing.assert_close(grad_x, wanted[0])
        torch.testing.assert_close((weight * (dot_far - dot_near)).sum(1), wanted[1])
        torch.testing.assert_close((1 - phi)[:, None] * dot_near + phi[:, None] * dot_far, wanted[2])
        assert grad_x.stride() == x.stride()


def test_gradcheck():
    x, offset, weight = inputs()
    leaves = [a.requires_grad_() for a in (x[..., :1, :2].clone(), offset, weight)]
    assert torch.autograd.gradcheck(interlace, leaves)


def test_adjoint_identity():
    x, offset, weight = inputs()
    x.requires_grad_()
    out = interlace(x, offset, weight)
    g = torch.randn_like(out)
    (grad_x,) = torch.autograd.grad(out, x, g)
    torch.testing.assert_close((g * out).sum(), (grad_x * x).sum())


def test_gradient_at_an_integer_is_the_right_derivative():
    x, _, weight = inputs()
    offset = torch.tensor([[0.0, -1.0, 2.0], [1.0, 4.0, -4.0]], dtype=torch.float64, requires_grad=True)
    g = torch.randn_like(x)
    (grad,) = torch.autograd.grad((g * interlace(x, offset, weight)).sum(), offset)
    step = 1e-6
    for b, group in np.ndindex(B, G):
        right = offset.detach().clone()
        right[b, group] += step
        rise = (g * (definition(x, right, weight) - definition(x, offset.detach(), weight))).sum() / step
        assert grad[b, group].item() == pytest.approx(rise.item(), abs=1e-6)


def transposed(x: torch.Tensor) -> torch.Tensor:
    return x.mT.contiguous().mT


def sliced_last(x: torch.Tensor) -> torch.Tensor:
    return channels_last(torch.cat([x, x], 2))[:, :, : x.shape[2]]


def same_pixel(x: torch.Tensor) -> torch.Tensor:
    return x[..., :1, :1].expand(x.shape)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck looks at inputs that are no leaves
@pytest.mark.parametrize(
    "layout", [torch.Tensor.contiguous, channels_last, transposed, sliced_last, same_pixel]
)
@pytest.mark.parametrize(("fold", "dtype"), [(3, torch.float64), (3, torch.float32), (6, torch.bfloat16)])
def test_opcheck(fold, dtype, layout):
    x, offset, weight = inputs(torch.float32)
    x, weight = layout(x.to(dtype)), transposed(weight)
    leaves = [a.requires_grad_() for a in (x, offset, weight)]
    results = opcheck(torch.ops.interlace.interlace.default, (*leaves, fold))
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, channels_last, transposed, sliced_last])
@pytest.mark.parametrize(
    ("with_factors", "dtype"), [(True, torch.float64), (True, torch.float32), (False, torch.float32)]
)
def test_opcheck_of_the_backward(with_factors, dtype, layout):
    x, offset, weight = inputs(torch.float32)
    grad, x, weight = torch.randn(x.shape, dtype=dtype), layout(x.to(dtype)), transposed(weight)
    arguments = (grad, x, offset[:1].expand(B, G), weight, 3, with_factors)
    for operator in ("interlace_backward", "interlace_backward_"):
        results = opcheck(getattr(torch.ops.interlace, operator).default, arguments)
        assert set(results.values()) == {"SUCCESS"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("axis", [0, 1, 5])
def test_vmap_over_the_batch(axis, dtype):
    x, offset, weight = inputs(dtype)
    clips, offsets = torch.stack([x, x + 1, 2 * x], axis), torch.stack([offset, -offset, offset + 0.5])
    out = torch.func.vmap(interlace, in_dims=(axis, 0, None))(clips, offsets, weight)
    same_clip = torch.func.vmap(lambda offset: interlace(x, offset, None, 3))(offsets)
    for i in range(3):
        torch.testing.assert_close(out[i], interlace(clips.select(axis, i), offsets[i], weight))
        torch.testing.assert_close(same_clip[i], interlace(x, offsets[i], None, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_vmap_of_the_gradient(dtype):
    leaves = [a.requires_grad_() for a in inputs(dtype)]
    out = interlace(*leaves, 3)
    grads = torch.randn(3, *out.shape, dtype=dtype)
    got = torch.autograd.grad(out, leaves, grads, is_grads_batched=True, retain_graph=True)
    for i in range(3):
        wanted = torch.autograd.grad(out, leaves, grads[i], retain_graph=True)
        torch.testing.assert_close([a[i] for a in got], list(wanted))


def test_second_derivatives_are_refused():
    """They are not implemented; zeros would be wrong."""
    leaves = [a.requires_grad_() for a in inputs()]
    (grad,) = torch.autograd.grad(interlace(*leaves).square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match="backward"):
        grad.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_export_keeps_the_operator(dtype):
    class Part(torch.nn.Module):
        def forward(self, x, offset, weight):
            return inspect.unwrap(interlace)(x, offset, weight, 3)

    exported = torch.export.export(Part(), inputs(dtype))
    assert [str(node.target) for node in exported.graph.nodes if node.op == "call_function"] == [
        "interlace.interlace.default"
    ]
    other = inputs(dtype, seed=1)
    torch.testing.assert_close(exported.module()(*other), interlace(*other, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_interpolated_in_float32(dtype):
    x, offset, weight = inputs(torch.float32)
    x = x.to(dtype).requires_grad_()
    out = interlace(x, offset, weight)
    assert out.dtype == dtype
    assert torch.equal(out, interlace(x.float(), offset, weight).to(dtype))
    out.sum().backward()
    assert x.grad.dtype == dtype


@pytest.mark.parametrize("sliced", [False, True])
def test_memory_format_is_kept(sliced):
    x, offset, weight = inputs()
    last = channels_last(torch.cat([x, x], 2))[:, :, :C] if sliced else channels_last(x)
    out = interlace(last, offset, weight)
    assert out.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, interlace(x, offset, weight))
    assert interlace(x, offset, weight).is_contiguous()


def test_the_input_is_not_changed():
    x, offset, weight = inputs()
    before = x.clone()
    interlace(x, offset, weight)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4, 6, 5), (2, 3), None), r"\(B, T, C, H, W\)"),
        (((2, 4, 6, 5, 7), (3, 3), None), "B=2"),
        (((2, 4, 6, 5, 7), (2, 4), None), "C=6 .* G=4"),
        (((2, 4, 6, 5, 7), (2, 0), None), "G=0"),
        (((2, 4, 6, 5, 7), (2, 3), (2, 3, 4)), r"\(2, 4, 3\), got \(2, 3, 4\)"),
        (((2, 4, 6, 5, 7), (2, 3), None, 7), "fold=7 .* C=6"),
        (((2, 4, 6, 5, 7), (2, 3), None, 0), "fold=0 .* C=6"),
        (((2, 4, 6, 5, 7), (2, 3), None, -3), "fold=-3 .* C=6"),
        (((2, 4, 6, 5, 7), (2, 3), None, 4), "C=4 .* G=3"),
    ],
)
def test_bad_shapes_are_named(shapes, message):
    x, offset, weight = (None if shape is None else torch.zeros(shape) for shape in shapes[:3])
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(interlace)(x, offset, weight, *shapes[3:])  # without the shape check of the test run


def test_integers_are_refused():
    with pytest.raises(ValueError, match="int64"):
        inspect.unwrap(interlace)(torch.zeros(2, 4, 6, 5, 7, dtype=torch.int64), torch.zeros(2, 3))


def test_compiles_as_one_graph():
    leaves = [a.requires_grad_() for a in inputs(torch.float32)]
    compiled = torch.compile(inspect.unwrap(interlace), fullgraph=True, backend="aot_eager")
    out = compiled(*leaves)
    torch.testing.assert_close(out, interlace(*leaves))
    wanted = torch.autograd.grad(interlace(*leaves).square().sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), leaves), wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuda_equals_the_cpu(dtype):
    leaves = [a.requires_grad_() for a in inputs(torch.float32)]
    far = [a.detach().cuda().requires_grad_() for a in leaves]
    out, far_out = (interlace(x.to(dtype), offset, weight) for x, offset, weight in (leaves, far))
    torch.testing.assert_close(far_out.cpu(), out)
    for near_leaf, far_leaf in zip(leaves, far, strict=True):
        wanted = torch.autograd.grad(out.float().square().sum(), near_leaf, retain_graph=True)[0]
        got = torch.autograd.grad(far_out.float().square().sum(), far_leaf, retain_graph=True)[0]
        torch.testing.assert_close(
            got.cpu(), wanted, atol=1e-2 if dtype != torch.float32 else 1e-4, rtol=1e-3
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_is_part_of_a_cuda_graph():
    x, offset, weight = (a.cuda() for a in inputs(torch.float32))
    interlace(x, offset, weight, 3)  # tunes itself
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = interlace(x, offset, weight, 3)
    offset.neg_()
    x.add_(1)
    graph.replay()
    torch.testing.assert_close(out, interlace(x, offset, weight, 3))


@pytest.mark.reference
def test_the_published_sampler(reference_dir):
    case = {name: torch.from_numpy(a) for name, a in np.load(reference_dir / "tin_sampler.npz").items()}
    x, offset = case["x"].requires_grad_(), case["offset"].requires_grad_()
    out = interlace(x, offset)
    torch.testing.assert_close(out, case["out"], atol=1e-5, rtol=0)
    (out * case["loss_weight"]).sum().backward()
    torch.testing.assert_close(x.grad, case["grad_x"], atol=1e-5, rtol=0)
    torch.testing.assert_close(offset.grad.double(), case["grad_offset"], atol=1e-5, rtol=0)
