from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn

from interlace.models import insert_before_blocks, insert_in_branches
from interlace.models.backbone import TemporalConv2d, temporal_keys
from interlace.ops import has_kernels
from interlace.temporal import TemporalInterlace, TemporalShift

SHIFT = partial(TemporalShift, num_segments=4)


def places(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, TemporalConv2d)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", [f"layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(2)]),
        (
            "resnext50_32x4d",
            [f"layer{s}.{b}.conv1" for s, blocks in enumerate((3, 4, 6, 3), 1) for b in range(blocks)],
        ),
        (
            "mobilenetv2_100",  # the 10 blocks of the published TSM
            [f"blocks.{s}.{b}.conv_pw" for s, b in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]]
            + [f"blocks.{s}.{b}.conv_pw" for s, b in [(4, 1), (4, 2), (5, 1), (5, 2)]],
        ),
        (
            "mobilenetv3_large_100",  # its first block has no expansion, and a residual branch
            ["blocks.0.0.conv_dw", "blocks.1.1.conv_pw", "blocks.2.1.conv_pw", "blocks.2.2.conv_pw"]
            + [f"blocks.{s}.{b}.conv_pw" for s, b in [(3, 1), (3, 2), (3, 3), (4, 1), (5, 1), (5, 2)]],
        ),
        (
            "regnety_016",
            [f"s{s}.b{b}.conv1.conv" for s, n in enumerate((2, 6, 17, 2), 1) for b in range(1, n + 1)],
        ),
        (
            "convnext_tiny",
            [f"stages.{s}.blocks.{b}.conv_dw" for s, n in enumerate((3, 3, 9, 3)) for b in range(n)],
        ),
    ],
)
def test_the_places(name, expected):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
        insert_in_branches(network, SHIFT)
    assert places(network) == expected


def test_the_module_sees_the_input_of_the_branch_only():
    network = timm.create_model("resnet18", num_classes=0).eval()
    block = network.layer1[0]
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(network.state_dict())
    insert_in_branches(network, lambda _: nn.ReLU())
    x = torch.randn(2, 64, 5, 7)
    reference = plain.layer1[0]
    branch = reference.bn2(reference.conv2(reference.act1(reference.bn1(reference.conv1(x.relu())))))
    torch.testing.assert_close(block(x), (branch + x).relu())


def test_in_place_the_identity_path_is_mixed_too():
    network = timm.create_model("resnet18", num_classes=0).eval()
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(network.state_dict())
    shift = TemporalShift(64, num_segments=4)
    insert_before_blocks(network, SHIFT)
    assert list(dict(network.layer1.named_children())) == ["temporal0", "0", "temporal1", "1"]
    x = torch.randn(4, 64, 5, 7)
    wanted = plain.layer1[1](shift(plain.layer1[0](shift(x))))
    torch.testing.assert_close(network.layer1(x), wanted)


def test_every_second_block_and_two_convolutions():
    network = timm.create_model("resnet26", num_classes=0)
    insert_in_branches(network, SHIFT, num_convs=2, every=2)
    assert places(network) == [f"layer{s}.0.conv{c}" for s in range(1, 5) for c in (1, 2)]


@pytest.mark.parametrize("insert", [insert_in_branches, insert_before_blocks])
def test_names_of_weights_stay_those_of_the_plain_network(insert):
    plain = timm.create_model("resnet18", num_classes=0)
    shifted = timm.create_model("resnet18", num_classes=0)
    insert(shifted, SHIFT)
    assert shifted.state_dict().keys() == plain.state_dict().keys()
    interlaced = timm.create_model("resnet18", num_classes=0)
    insert(interlaced, partial(TemporalInterlace, num_segments=4))
    own = temporal_keys(interlaced)
    assert interlaced.state_dict().keys() - plain.state_dict().keys() == own
    assert len(own) == 8 * 8


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnetv2_50"])
@pytest.mark.parametrize("insert", [insert_in_branches, insert_before_blocks])
def test_an_unsupported_network_is_named(name, insert):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    with pytest.raises(ValueError, match=f"{name} has no residual blocks .* supported are ResNet"):
        insert(network, SHIFT)


def test_in_place_needs_stages_that_are_sequences():
    with pytest.raises(ValueError, match="RegStage is not a sequence"):
        insert_before_blocks(timm.create_model("regnetx_002", num_classes=0), SHIFT)


def test_a_part_that_mixes_nothing_changes_nothing():
    network = timm.create_model("mobilenetv2_050", num_classes=0, pad_type="same").eval()
    x = torch.randn(4, 3, 33, 35)
    before = network(x)
    insert_in_branches(network, lambda _: nn.Identity())
    assert torch.equal(network(x), before)


C, T, H, W = 16, 4, 5, 7
LAYOUTS = [torch.contiguous_format, torch.channels_last]
needs_kernels = pytest.mark.skipif(
    not has_kernels(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)


def interlacing(**arguments: Any) -> TemporalInterlace:
    """With offsets and weights that differ from sample to sample and from group to group."""
    module = TemporalInterlace(C, num_segments=T, **arguments)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


PARTS = {
    "tin": interlacing,
    "tin, not mirrored": partial(interlacing, mirrored=False),
    "tsm": partial(TemporalShift, C, num_segments=T, fold_div=4),
    "tsm, causal": partial(TemporalShift, C, num_segments=T, fold_div=3, mode="causal"),
}
CONVS = {
    "1x1": partial(nn.Conv2d, C, 6, 1),
    "1x1 for vectors": partial(nn.Conv2d, C, 32, 1, bias=False),
    "1x1 stride": partial(nn.Conv2d, C, 6, 1, stride=2, bias=False),
    "3x3": partial(nn.Conv2d, C, 6, 3, padding=1, bias=False),
    "3x3 stride": partial(nn.Conv2d, C, 6, 3, stride=2, padding=1),
    "3x3 dilation": partial(nn.Conv2d, C, 6, 3, padding=2, dilation=2),
    "groups": partial(nn.Conv2d, C, 8, (3, 1), groups=4),
    "depthwise": partial(nn.Conv2d, C, C, 3, padding=1, groups=C),
    "same": partial(nn.Conv2d, C, 6, 3, padding="same"),
    "reflect": partial(nn.Conv2d, C, 6, 3, padding=1, padding_mode="reflect"),
}


def frames(
    dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.contiguous_format
) -> Tensor:
    x = torch.randn(2 * T, C, H, W, generator=torch.Generator().manual_seed(1))
    return x.to(dtype, memory_format=layout).requires_grad_()


def composed(conv: TemporalConv2d, x: Tensor) -> Tensor:
    return nn.Conv2d.forward(conv, conv.temporal(x))


def exact(conv: TemporalConv2d, x: Tensor) -> tuple[TemporalConv2d, Tensor]:
    """Both in float64, where there are no kernels and the parts run one after the other."""
    return copy.deepcopy(conv).double(), x.detach().double().requires_grad_()


def assert_relatively_close(got: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> None:
    assert (got.double() - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("part", PARTS)
def test_fused_or_not_outputs_and_gradients_are_the_same(part, name, layout):
    """With a shortcut around it, as in a network."""
    conv, x = TemporalConv2d(CONVS[name](), PARTS[part]()), frames(layout=layout)
    double, x_double = exact(conv, x)
    out, wanted = conv(x), double(x_double)
    assert_relatively_close(out, wanted)
    assert out.stride() == composed(conv, x).stride()
    leaves, exact_leaves = [x, *conv.parameters()], [x_double, *double.parameters()]
    grad, shortcut = torch.randn_like(out), torch.randn_like(x)
    got = torch.autograd.grad([out, 2 * x], leaves, [grad, shortcut])
    wanted = torch.autograd.grad([wanted, 2 * x_double], exact_leaves, [grad.double(), shortcut.double()])
    for a, b in zip(got, wanted, strict=True):
        assert_relatively_close(a, b, 1e-4)
    with torch.no_grad():
        assert_relatively_close(conv(x), double(x_double))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["1x1", "1x1 for vectors", "3x3 stride"])
@pytest.mark.parametrize("part", ["tin", "tsm"])
@pytest.mark.parametrize("x_dtype", [torch.float32, torch.bfloat16])
def test_under_autocast(x_dtype, part, name, layout):
    conv, x = TemporalConv2d(CONVS[name](), PARTS[part]()), frames(x_dtype, layout)
    double, x_double = exact(conv, x)
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x)
    wanted = double(x_double)
    assert out.dtype == torch.bfloat16
    assert_relatively_close(out, wanted, 0.02)
    grad = torch.randn_like(out)
    got = torch.autograd.grad(out, [x, *conv.parameters()], grad)
    wanted = torch.autograd.grad(wanted, [x_double, *double.parameters()], grad.double())
    assert [a.dtype for a in got] == [x_dtype, *(p.dtype for p in conv.parameters())]
    for a, b in zip(got, wanted, strict=True):
        assert_relatively_close(a, b, 0.05)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("part", ["tin", "tsm"])
def test_a_whole_module_in_another_dtype(part, dtype):
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()), frames(dtype)
    out, wanted = conv.to(dtype)(x), composed(*exact(conv, x))
    assert out.dtype == dtype
    assert_relatively_close(out, wanted, 1e-10 if dtype == torch.float64 else 0.05)


def test_weights_of_another_dtype_are_refused():
    conv = TemporalConv2d(CONVS["1x1"](), PARTS["tsm"]())
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)bfloat16"):
        conv.bfloat16()(frames())


def test_hooks_see_the_temporal_module():
    seen = []
    for with_hook in (
        lambda m: m.register_forward_hook(lambda *_: seen.append("forward")),
        lambda m: m.register_forward_pre_hook(lambda *_: seen.append("forward pre")),
        lambda m: m.register_forward_hook(lambda *_, **__: seen.append("kwargs"), with_kwargs=True),
        lambda m: m.register_full_backward_hook(lambda *_: seen.append("backward")),
        lambda m: m.register_full_backward_pre_hook(lambda *_: seen.append("backward pre")),
    ):
        for part in ("tin", "tsm"):
            conv = TemporalConv2d(CONVS["1x1"](), PARTS[part]())
            with_hook(conv.temporal)
            conv(frames()).sum().backward()
    assert seen == [n for n in ("forward", "forward pre", "kwargs", "backward", "backward pre") for _ in "ab"]


def test_global_hooks_see_the_temporal_module():
    """Profilers and counters of operations use them."""
    conv, seen = TemporalConv2d(CONVS["1x1"](), PARTS["tsm"]()), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module)))
    try:
        conv(frames())
    finally:
        handle.remove()
    assert seen == [TemporalShift, TemporalConv2d]


def test_a_hook_may_change_what_the_convolution_sees():
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS["tin"]()), frames()
    handle = conv.temporal.register_forward_hook(lambda _, __, out: 2 * out)
    doubled = conv(x)
    handle.remove()
    bias = conv.bias[:, None, None]
    torch.testing.assert_close(doubled - bias, 2 * (conv(x) - bias), atol=1e-5, rtol=1e-5)


def test_a_subclass_with_a_forward_of_its_own():
    class Louder(TemporalShift):
        def forward(self, frames: Tensor) -> Tensor:
            return 3 * super().forward(frames)

    conv, x = TemporalConv2d(CONVS["1x1"](), Louder(C, num_segments=T)), frames()
    assert torch.equal(conv(x), F.conv2d(conv.temporal(x), conv.weight, conv.bias))


def test_a_forward_of_the_instance():
    """So others wrap modules without hooks."""
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS["tsm"]()), frames()
    forward = conv.temporal.forward
    conv.temporal.forward = lambda frames: 3 * forward(frames)
    assert torch.equal(conv(x), F.conv2d(3 * forward(x), conv.weight, conv.bias))


def test_functional_call_and_transforms():
    """Gradients of each clip by themselves, as in differential privacy."""
    for part in ("tin", "tsm"):
        conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()), frames().detach()
        parameters = {name: p.detach() * 1.5 for name, p in conv.named_parameters()}
        scaled = copy.deepcopy(conv)
        scaled.load_state_dict(parameters)

        def loss(parameters, clip, conv=conv):
            return torch.func.functional_call(conv, parameters, (clip,)).square().sum()

        torch.testing.assert_close(torch.func.functional_call(conv, parameters, (x,)), scaled(x))
        per_clip = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(
            parameters, x.unflatten(0, (2, T))
        )
        for i, clip in enumerate(x.unflatten(0, (2, T))):
            wanted = torch.autograd.grad(scaled(clip).square().sum(), list(scaled.parameters()))
            for (name, _), value in zip(scaled.named_parameters(), wanted, strict=True):
                assert_relatively_close(per_clip[name][i], value.double(), 1e-4)


@pytest.mark.parametrize("part", ["tin", "tsm"])
def test_vmap_over_the_batch(part):
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()), frames().detach()
    batches = torch.stack([x, 2 * x, x + 1])
    for with_grad in (True, False):
        with torch.set_grad_enabled(with_grad):
            out = torch.func.vmap(conv)(batches)
            for i in range(3):
                torch.testing.assert_close(out[i], conv(batches[i]), atol=1e-5, rtol=1e-5)


def test_the_state_is_that_of_the_two_parts():
    conv = TemporalConv2d(plain := CONVS["1x1"](), part := PARTS["tin"]())
    keys = list(conv.state_dict())
    assert keys == ["weight", "bias", *(f"temporal.{key}" for key in part.state_dict())]
    assert conv.weight is plain.weight
    conv(frames()).sum().backward()
    assert list(conv.state_dict()) == keys
    assert list(TemporalConv2d(CONVS["1x1"](), PARTS["tsm"]()).state_dict()) == ["weight", "bias"]


def test_copies_and_pickles():
    for part in ("tin", "tsm"):
        conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()), frames()
        for other in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
            assert torch.equal(other(x), conv(x))


def saved_bytes(conv: TemporalConv2d, x: Tensor, forward=TemporalConv2d.__call__) -> int:
    """Of the distinct memory that a forward keeps for its backward, without x and the parameters."""
    known = {a.untyped_storage().data_ptr() for a in (x, *conv.parameters())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = forward(conv, x)
    assert out.requires_grad
    return sum(kept.values())


@needs_kernels
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["1x1", "1x1 for vectors", "3x3 stride", "depthwise"])
@pytest.mark.parametrize("part", ["tin", "tsm"])
def test_the_interlaced_frames_are_not_kept_for_the_backward(part, name, layout):
    conv = TemporalConv2d(CONVS[name](), PARTS[part]())
    x = torch.randn(2 * T, C, 23, 29).to(memory_format=layout).requires_grad_()
    size = x.nbytes
    assert saved_bytes(conv, x) < size / 20
    assert saved_bytes(conv, x, composed) >= size


def test_checkpointed():
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS["tin"]()), frames()
    grad = torch.randn_like(conv(x))
    leaves = [x, *conv.parameters()]
    wanted = torch.autograd.grad(conv(x), leaves, grad)
    out = torch.utils.checkpoint.checkpoint(conv, x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(out, leaves, grad), wanted)


def run(code: str, folder: Path, **variables: str) -> None:
    """In a process of its own: the shape check of the test run cannot be traced."""
    environment = {**os.environ, **variables}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder)], check=True, env=environment)


COMPILE_AND_EXPORT = """
import sys
import torch
from torch import nn
from interlace.models import tin, tsm
from interlace.models.backbone import TemporalConv2d
from interlace.temporal import TemporalInterlace, TemporalShift

for part in (TemporalInterlace, TemporalShift):
    torch.manual_seed(0)
    network = nn.Sequential(TemporalConv2d(nn.Conv2d(16, 16, 1), part(16, num_segments=4)), nn.ReLU(),
                            TemporalConv2d(nn.Conv2d(16, 6, 3), part(16, num_segments=4)))
    x = torch.randn(8, 16, 5, 7, requires_grad=True)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    out = network(x)
    torch.testing.assert_close(compiled(x), out)
    leaves, grad = [x, *network.parameters()], torch.randn_like(out)
    got, wanted = (torch.autograd.grad(f(x), leaves, grad) for f in (compiled, network))
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), out)

for build, frozen in ((tin, False), (tin, True), (tsm, False)):
    network = build("test_resnet", num_segments=4).eval().requires_grad_(not frozen)
    x, file = torch.randn(8, 3, 33, 35), f"{sys.argv[1]}/{build.__name__}{frozen}"
    program, out = torch.export.export(network, (x,)), network(x).detach()
    torch.testing.assert_close(program.module()(x), out, atol=1e-4, rtol=1e-4)
    torch.export.save(program, f"{file}.pt2")
    torch.save((x, out), f"{file}.pt")
"""
LOAD = """
import pathlib
import sys
import torch
from interlace.ops import has_kernels

for file in sorted(pathlib.Path(sys.argv[1]).glob("*.pt2")):
    x, wanted = torch.load(file.with_suffix(".pt"))
    assert not has_kernels(x)
    torch.testing.assert_close(torch.export.load(file).module()(x), wanted, atol=1e-4, rtol=1e-4)
"""


def test_compiles_as_one_graph_and_what_it_exports_runs_without_kernels(tmp_path):
    run(COMPILE_AND_EXPORT, tmp_path)
    assert len(list(tmp_path.glob("*.pt2"))) == 3
    run(LOAD, tmp_path, INTERLACE_PLAIN="1")


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@cuda
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("part", PARTS)
def test_cuda_equals_the_cpu(part, name, layout):
    conv, x = TemporalConv2d(CONVS[name](), PARTS[part]()), frames(layout=layout)
    double, x_double = exact(conv, x)
    far, x_far = copy.deepcopy(conv).cuda(), x.detach().cuda().requires_grad_()
    with torch.backends.cudnn.flags(allow_tf32=False):
        out, wanted = far(x_far), double(x_double)
        grad = torch.randn_like(wanted)
        got = torch.autograd.grad(out, [x_far, *far.parameters()], grad.float().cuda())
    assert_relatively_close(out.cpu(), wanted, 1e-4)
    wanted = torch.autograd.grad(wanted, [x_double, *double.parameters()], grad)
    for a, b in zip(got, wanted, strict=True):
        assert_relatively_close(a.cpu(), b, 1e-3)


@cuda
@pytest.mark.parametrize("part", ["tin", "tsm"])
def test_is_part_of_a_cuda_graph(part):
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()).cuda(), frames().detach().cuda()
    with torch.no_grad():
        conv(x)  # tunes itself
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = conv(x)
        x.neg_().add_(1)
        graph.replay()
        torch.testing.assert_close(out, conv(x), atol=1e-4, rtol=1e-4)


@cuda
@pytest.mark.parametrize("part", ["tin", "tsm"])
def test_the_host_never_waits_for_the_device(part):
    conv, x = TemporalConv2d(CONVS["1x1"](), PARTS[part]()).cuda(), frames().detach().cuda().requires_grad_()
    conv(x).sum().backward()  # tunes itself
    before = torch.cuda.get_sync_debug_mode()
    try:
        torch.cuda.set_sync_debug_mode("error")
        conv(x).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert x.grad is not None
    assert x.grad.any()
