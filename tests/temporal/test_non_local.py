from __future__ import annotations

import copy
import inspect
import json
import re
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlace.temporal import NonLocalBlock, NonLocalFrames
from interlace.training.batch_norm import fix_batch_norms
from interlace.training.optim import parameter_groups

B, C, T, H, W = 2, 6, 4, 5, 7
SHAPES = {"1-D": (B, C, T), "2-D": (B, C, H, W), "3-D": (B, C, T, H, W)}
SIMILARITIES = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")


def awake(channels: int = C, **arguments: object) -> NonLocalBlock:
    """A block whose scale is not zero."""
    block = NonLocalBlock(channels, **arguments)
    nn.init.normal_(block.norm.weight)
    nn.init.normal_(block.norm.bias)
    return block


@pytest.mark.reference
def test_the_published_block_and_its_gradient(reference_dir):
    names = {"g.0": "g", "phi.0": "phi", "theta": "theta", "W.0": "w", "W.1": "norm"}
    state = {}
    for name, shape in json.loads((reference_dir / "nonlocal_3d_sub1_keys.json").read_text()).items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, dtype=np.int64)
        elif name.endswith("running_var"):
            value = generator.uniform(0.9, 1.1, shape)
        elif name.endswith("running_mean"):
            value = 0.1 * generator.standard_normal(shape)
        elif len(shape) == 1:
            value = float(name.endswith("weight")) + 0.1 * generator.standard_normal(shape)
        else:
            value = (generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).reshape(*shape[:2], 1)
        layer, _, leaf = name.rpartition(".")
        state[f"{names[layer]}.{leaf}"] = torch.from_numpy(value)
    block = NonLocalBlock(16).eval()
    block.load_state_dict(state)
    case = np.load(reference_dir / "nonlocal_3d_sub1.npz")
    x = torch.from_numpy(case["x"]).requires_grad_()
    out = block(x)
    (out * torch.from_numpy(case["loss_weight"])).sum().backward()
    np.testing.assert_allclose(out.detach(), case["out"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(x.grad, case["grad_x"], atol=1e-5, rtol=0)


def pair_by_pair(block: NonLocalBlock, similarity: str, x: Tensor) -> Tensor:
    """Equations 1 to 6 with every pair of positions written out; not subsampled."""
    positions = x.flatten(2)
    theta, phi, g = block.theta(positions), block.phi(positions), block.g(positions)
    theta_i, phi_j = theta[:, :, :, None], phi[:, :, None, :]
    if similarity == "concatenation":
        pairs = torch.cat(torch.broadcast_tensors(theta_i, phi_j), 1)  # (B, 2E, N, N)
        f = F.relu(torch.einsum("e,benm->bnm", block.similarity.w_f.weight[0], pairs))
    else:
        f = (theta_i * phi_j).sum(1)
    if similarity in ("embedded_gaussian", "gaussian"):
        f = f.exp()
        y = torch.einsum("bnm,bdm->bdn", f / f.sum(2, keepdim=True), g)
    else:
        y = torch.einsum("bnm,bdm->bdn", f, g) / f.shape[2]
    return x + block.norm(block.w(y)).reshape(x.shape)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_equations(shape, similarity):
    block = awake(similarity=similarity, subsample=False).double().eval()
    x = torch.randn(SHAPES[shape]).double()
    torch.testing.assert_close(block(x), pair_by_pair(block, similarity, x))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_gradient(similarity):
    block = awake(4, similarity=similarity).double()
    x = torch.randn(2, 4, 2, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(block, x)


@pytest.mark.parametrize(
    ("shape", "pool", "size"),
    [
        ((B, C, T), F.max_pool1d, 2),
        ((B, C, H, W), F.max_pool2d, 2),
        ((B, C, T, H, W), F.max_pool3d, (1, 2, 2)),
        ((B, C, 1), F.max_pool1d, 1),  # a single position stays
        ((B, C, 1, W), F.max_pool2d, (1, 2)),
        ((B, C, T, 1, 1), F.max_pool3d, 1),
    ],
)
def test_positions_that_are_looked_at_are_pooled(shape, pool, size):
    block = awake().eval()
    x = torch.randn(shape)
    theta, phi, g = (layer(x.flatten(2)) for layer in (block.theta, block.phi, block.g))
    phi, g = (pool(y.unflatten(2, shape[2:]), size).flatten(2) for y in (phi, g))
    y = g @ torch.softmax(theta.mT @ phi, 2).mT
    torch.testing.assert_close(block(x), x + block.norm(block.w(y)).reshape(shape), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_frames_are_the_clip_in_another_layout(layout):
    block = awake().eval()
    in_frames = NonLocalFrames(C, num_segments=T).eval()
    in_frames.load_state_dict(block.state_dict())
    frames = torch.randn(B * T, C, H, W).to(memory_format=layout)
    clip = frames.unflatten(0, (B, T)).transpose(1, 2)
    out = in_frames(frames)
    torch.testing.assert_close(out, block(clip).transpose(1, 2).flatten(0, 1))
    assert out.is_contiguous(memory_format=layout)


def test_a_position_sees_those_of_its_own_clip_only():
    block = NonLocalFrames(C, num_segments=T).eval()
    nn.init.ones_(block.norm.weight)
    frames = torch.randn(B * T, C, H, W)
    other = frames.clone()
    other[1] += 1
    changed = (block(frames) != block(other)).flatten(1).any(1)
    assert changed.tolist() == [True] * T + [False] * T


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", ["train", "partial", "frozen"])
def test_a_new_block_changes_nothing_and_learns_under_every_policy(policy, shape):
    block = NonLocalBlock(C)
    network = nn.ModuleList([nn.BatchNorm2d(C), nn.BatchNorm2d(C), block]).train()
    fix_batch_norms(network, policy)
    groups = {group["name"]: group["params"] for group in parameter_groups(network, lr=0.1, weight_decay=0.1)}
    assert any(parameter is block.norm.weight for parameter in groups["norms"])
    assert block.norm.training
    x, target = torch.randn(SHAPES[shape]), torch.randn(SHAPES[shape])
    out = block(x)
    assert torch.equal(out, x)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    (out - target).square().sum().backward()
    optimizer.step()
    assert block.norm.weight.abs().min() > 0
    assert (block(x) - x).abs().max() > 0.01
    (block(x) - target).square().sum().backward()
    assert all(block.get_parameter(f"{layer}.weight").grad.any() for layer in ("theta", "phi", "g", "w"))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_under_autocast_and_in_half_precision(similarity):
    block = awake(similarity=similarity).eval()
    x = torch.randn(B, C, T, H, W)
    wanted = block(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(block(x), wanted, atol=0.05, rtol=0.05)
    half = copy.deepcopy(block).bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), wanted, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("similarity", ["embedded_gaussian", "dot_product"])
def test_no_matrix_of_all_pairs_is_kept_for_the_backward(similarity):
    block = NonLocalFrames(4, num_segments=8, similarity=similarity)
    x = torch.randn(8, 4, 16, 18).requires_grad_()
    positions, seen = 8 * 16 * 18, 8 * 8 * 9
    largest = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        block(x)
    assert 0 < largest < positions * seen / 10


def test_the_weights_do_not_depend_on_the_number_of_frames():
    shapes = [
        {name: value.shape for name, value in NonLocalFrames(C, num_segments=number).state_dict().items()}
        for number in (4, 16)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("channels", "arguments", "message"),
    [
        (6, {"similarity": "cosine"}, "similarity 'cosine' is unknown; choose embedded_gaussian, gaussian"),
        (1, {}, "channels=1, inner_channels=None: the block needs at least 1"),
        (6, {"inner_channels": 0}, "inner_channels=0"),
    ],
)
def test_what_cannot_be_built_is_named(channels, arguments, message):
    # The shape check of the test run would refuse an unknown similarity first.
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(NonLocalBlock.__init__)(NonLocalBlock.__new__(NonLocalBlock), channels, **arguments)


@pytest.mark.parametrize("shape", [(B, C), (B, C, 1, T, H, W)])
def test_a_shape_that_is_none_of_the_three_is_named(shape):
    with pytest.raises(ValueError, match=rf"{re.escape(str(shape))} is none of \(B, C, T\)"):
        NonLocalBlock(C)(torch.zeros(shape))


def test_frames_that_do_not_make_clips_are_named():
    with pytest.raises(ValueError, match=r"9 frames .* num_segments=4"):
        NonLocalFrames(C, num_segments=4)(torch.zeros(9, C, 2, 3))


def test_print_shows_the_number_of_frames():
    assert "num_segments=4" in str(NonLocalFrames(C, num_segments=4))
