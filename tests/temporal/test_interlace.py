from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from interlace.ops import interlace
from interlace.ops.nets import has_fused_nets
from interlace.temporal import TemporalInterlace, record_offsets
from interlace.temporal.interlace import OffsetNet

# (num_groups, mirrored): the rows of the paper's table 5
TABLE_5 = [(1, False), (1, True), (2, False), (2, True), (4, False), (4, True)]


def frames(channels: int = 35, num_segments: int = 4) -> torch.Tensor:
    return torch.randn(2 * num_segments, channels, 5, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("num_groups", "mirrored"), TABLE_5)
def test_the_rows_of_table_5(num_groups, mirrored):
    module = TemporalInterlace(35, num_segments=4, num_groups=num_groups, mirrored=mirrored)  # fold 8
    x = frames()
    with record_offsets(module) as records:
        out = module(x)
    offset, weight = records[""]
    groups = num_groups * (1 + mirrored)
    assert offset.shape == (2, groups)
    assert weight.shape == (2, 4, groups)
    if mirrored:
        assert torch.equal(offset[:, num_groups:], -offset[:, :num_groups])
        assert torch.equal(weight[:, :, num_groups:], weight[:, :, :num_groups])
    wanted = interlace(x[:, :8].unflatten(0, (2, 4)), offset, weight)
    assert torch.equal(out[:, :8], wanted.flatten(0, 1))
    assert torch.equal(out[:, 8:], x[:, 8:])


@pytest.mark.parametrize(
    ("num_segments", "offset_range", "initial"), [(8, 2.0, 0.5), (8, 4.0, 1.0), (16, 8.0, 1.0)]
)
def test_the_initial_offset(num_segments, offset_range, initial):
    """As released, and as in the paper's text for 8 and 16 frames; a blank clip shows the bias alone."""
    module = TemporalInterlace(
        16, num_segments=num_segments, offset_range=offset_range, initial_offset=initial
    )
    torch.nn.init.zeros_(module.offset_net.fc2.weight)
    offset = module.offset_net(torch.zeros(1, 4, num_segments))
    torch.testing.assert_close(offset, torch.full((1, 2), initial))


@pytest.mark.parametrize(
    ("num_groups", "mirrored", "starts", "reach"),
    [
        (1, True, [1], 2),
        (2, True, [1, 2], 3),
        (4, True, [1, 2, 3, 4], 5),
        (2, False, [1, -1], 2),
        (3, False, [1, -1, 2], 3),
        (4, False, [1, -1, 2, -2], 3),
    ],
)
def test_by_default_the_groups_begin_with_whole_frames_between_them(num_groups, mirrored, starts, reach):
    module = TemporalInterlace(96, num_groups=num_groups, mirrored=mirrored)
    assert module.offset_net.offset_range == reach
    torch.nn.init.zeros_(module.offset_net.fc2.weight)
    offset = module.offset_net(torch.zeros(1, 24, 8))
    torch.testing.assert_close(offset, torch.tensor([starts], dtype=torch.float32))


def test_each_group_may_begin_at_an_offset_of_its_own():
    module = TemporalInterlace(16, num_groups=2, offset_range=3.0, initial_offset=[1.0, -2.0])
    torch.nn.init.zeros_(module.offset_net.fc2.weight)
    offset = module.offset_net(torch.zeros(1, 4, 8))
    torch.testing.assert_close(offset, torch.tensor([[1.0, -2.0]]))


def test_the_initial_bias_is_the_released_one():
    released = TemporalInterlace(16, offset_range=2.0, initial_offset=0.5)
    assert released.offset_net.fc2.bias.tolist() == pytest.approx([0.5108] * 2, abs=1e-4)
    assert TemporalInterlace(16).weight_net.conv.bias.tolist() == [0, 0]


def test_the_number_of_parameters():
    fold, num_segments = 16, 8
    module = TemporalInterlace(64, num_segments=num_segments)
    assert sum(p.numel() for p in module.parameters()) == 9 * fold + num_segments**2 + 3 * num_segments + 5


def test_print_shows_the_numbers():
    module = TemporalInterlace(24, num_segments=5, num_groups=3, mirrored=False, offset_range=2.5)
    assert module.extra_repr() == (
        "24, fold=6, num_segments=5, num_groups=3, mirrored=False, offset_range=2.5"
    )
    assert "offset_range=2.5" in str(module)


@pytest.mark.parametrize(
    ("channels", "groups", "message"), [(24, 2, "fold of 6 .* 4 groups"), (8, 4, "fold of 2 .* 8 groups")]
)
def test_a_fold_that_does_not_divide_is_an_error(channels, groups, message):
    with pytest.raises(ValueError, match=message):
        TemporalInterlace(channels, num_groups=groups)


@pytest.mark.parametrize("initial", [3.0, -3.0, [0.5, 3.0], [0.5], [0.5, 0.5, 0.5]])
def test_an_initial_offset_out_of_range_is_an_error(initial):
    with pytest.raises(ValueError, match="initial_offset"):
        TemporalInterlace(16, offset_range=3.0, initial_offset=initial)


def test_offsets_differ_from_sample_to_sample():
    module = TemporalInterlace(16, num_segments=4)
    module.offset_net.fc1.bias.data.fill_(1.0)  # so that no unit is off
    with record_offsets(module) as records:
        module(frames(16))
    offset, _ = records[""]
    assert not torch.equal(offset[0], offset[1])


def test_records_are_kept_only_when_asked():
    module = torch.nn.Sequential(TemporalInterlace(16, num_segments=4), TemporalInterlace(16, num_segments=4))
    with record_offsets(module) as records:
        module(frames(16))
    assert sorted(records) == ["0", "1"]
    assert not records["0"][0].requires_grad
    first = records["0"]
    module(frames(16) + 1)
    assert records["0"] is first
    assert all(part.recorder is None for part in module)


def test_memory_format_is_kept():
    module = TemporalInterlace(35, num_segments=4)
    x = frames()
    out = module(x.to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, module(x))


def test_autocast_keeps_offsets_in_float32():
    module = TemporalInterlace(16, num_segments=4)
    x = frames(16)
    with torch.autocast("cpu", torch.bfloat16), record_offsets(module) as records:
        out = module(x.bfloat16())
    assert out.dtype == torch.bfloat16
    assert records[""][0].dtype == torch.float32
    torch.testing.assert_close(out.float(), module(x.bfloat16().float()), atol=0.02, rtol=0.02)
    out.float().sum().backward()
    assert module.offset_net.fc1.weight.grad.abs().sum() > 0


def test_whole_module_in_another_dtype():
    for dtype in (torch.float64, torch.bfloat16):
        assert TemporalInterlace(16, num_segments=4).to(dtype)(frames(16).to(dtype)).dtype == dtype


def test_one_frame():
    assert TemporalInterlace(16, num_segments=1)(frames(16)).shape == (8, 16, 5, 7)


def test_resampled_weights_keep_the_offsets_of_a_steady_clip():
    """A descriptor that does not change along time looks the same at any length."""
    short, long = TemporalInterlace(16, num_segments=4), TemporalInterlace(16, num_segments=12)
    short.offset_net.fc1.weight.data.fill_(0.1)
    long.load_state_dict(short.resampled_state(12))
    raw = [
        net.fc2(torch.relu(net.fc1(torch.full((1, length), 0.7))))
        for net, length in ((short.offset_net, 4), (long.offset_net, 12))
    ]
    torch.testing.assert_close(*raw)


def test_resampling_to_the_same_length_changes_nothing():
    module = TemporalInterlace(16, num_segments=6)
    state = module.resampled_state(6)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(state[name], value)


def awake(mirrored: bool = True) -> TemporalInterlace:
    """With offsets and weights that differ from sample to sample and from group to group."""
    module = TemporalInterlace(35, num_segments=4, mirrored=mirrored)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def plain(module: TemporalInterlace, x: torch.Tensor) -> torch.Tensor:
    """The module as the paper's equations 1 to 4 write it."""
    clip = x.unflatten(0, (-1, module.num_segments))
    z = clip[:, :, : module.fold].mean((-2, -1), dtype=module.offset_net.fc1.weight.dtype).mT
    offset, weight = module.offset_net(z), module.weight_net(z)
    if module.mirrored:
        offset, weight = torch.cat([offset, -offset], 1), torch.cat([weight, weight], 2)
    t = torch.arange(module.num_segments, dtype=offset.dtype)
    hat = (1 - (t[:, None] - t - offset[:, :, None, None]).abs()).clamp(min=0)
    matrix = weight.transpose(1, 2)[..., None] * hat
    groups = clip[:, :, : module.fold].unflatten(2, (offset.shape[1], -1)).to(offset.dtype)
    moved = torch.einsum("bgts,bsgchw->btgchw", matrix, groups).flatten(2, 3).to(x.dtype)
    return torch.cat([moved, clip[:, :, module.fold :]], 2).flatten(0, 1)


LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("mirrored", [False, True])
def test_outputs_and_gradients_equal_the_equations(mirrored, dtype, layout):
    """The second use of x is the shortcut of a residual block."""
    module, x = awake(mirrored).to(dtype), frames().to(dtype, memory_format=layout).requires_grad_()
    leaves = [x, *module.parameters()]
    out, wanted = (f(x).relu() + 2 * x for f in (module, lambda x: plain(module, x)))
    torch.testing.assert_close(out, wanted)
    grad = torch.randn_like(out)
    before = grad.clone()
    got = torch.autograd.grad(out, leaves, grad)
    torch.testing.assert_close(got, torch.autograd.grad(wanted, leaves, grad), atol=1e-4, rtol=1e-4)
    assert torch.equal(grad, before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("with_grad", [False, True])
def test_displacement_says_what_forward_does(with_grad, dtype, layout):
    module = awake().double() if dtype == torch.float64 else awake()
    x = frames().to(dtype, memory_format=layout)
    with torch.set_grad_enabled(with_grad):
        clip, offset, weight, fold = module.displacement(x)
        assert torch.equal(module(x), interlace(clip, offset, weight, fold).flatten(0, 1))
    assert torch.equal(clip.flatten(0, 1), x)
    assert fold == 8
    assert offset.dtype == weight.dtype == module.offset_net.fc1.weight.dtype


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mirrored", [False, True])
def test_inference_equals_training(mirrored, dtype, layout):
    """Without a gradient the nets may run in one call."""
    module, x = awake(mirrored), frames().to(dtype, memory_format=layout)
    *_, offset, weight, fold = module.displacement(x)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            *_, other_offset, other_weight, other_fold = module.displacement(x)
        torch.testing.assert_close((other_offset, other_weight), (offset, weight), atol=1e-5, rtol=1e-5)
        assert fold == other_fold


@pytest.mark.parametrize("net", ["offset_net", "weight_net", "offset_net.fc1", "weight_net.conv"])
def test_hooks_of_the_nets_are_called_in_inference_too(net):
    module, seen = awake(), []
    module.get_submodule(net).register_forward_hook(lambda _, __, out: seen.append(out.shape))
    module(frames())
    with torch.no_grad():
        module(frames())
    assert len(seen) == 2
    assert seen[0] == seen[1]


@pytest.mark.parametrize("with_grad", [False, True])
def test_a_net_may_have_a_forward_of_its_own(with_grad):
    class Constant(OffsetNet):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return z.new_tensor([[1.0, -1.0]]).expand(z.shape[0], 2)

    module, x = awake(), frames()
    module.offset_net = Constant(8, 4, 2.0, [0.5, 0.5])
    with torch.set_grad_enabled(with_grad):
        offset = module.displacement(x).offset
    assert offset.tolist() == [[1, -1, -1, 1]] * 2


@pytest.mark.parametrize("with_grad", [False, True])
def test_a_layer_may_have_a_forward_of_its_own(with_grad):
    class Louder(torch.nn.Linear):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return 3 * super().forward(z)

    module, x = awake(), frames()
    module.offset_net.fc2 = Louder(4, 2)
    with torch.set_grad_enabled(with_grad):
        torch.testing.assert_close(module(x), plain(module, x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_autocast_equals_the_equations(layout):
    module, x = awake(), frames().to(memory_format=layout)
    half = x.bfloat16().requires_grad_()
    exact = x.bfloat16().double().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = module(half)
    wanted = plain(copy.deepcopy(module).double(), exact)
    torch.testing.assert_close(out.double(), wanted, atol=0.02, rtol=0.01)
    grad = torch.randn_like(out)
    got = torch.autograd.grad(out, [half, module.offset_net.conv.weight], grad)
    double = copy.deepcopy(module).double()
    wanted = torch.autograd.grad(plain(double, exact), [exact, double.offset_net.conv.weight], grad.double())
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, atol=0.02 * b.abs().max().item(), rtol=0.02)


def test_records_in_inference_too():
    module, x = awake(), frames()
    records = []
    for with_grad in (False, True):
        with torch.set_grad_enabled(with_grad), record_offsets(module) as record:
            module(x)
        records.append(record[""])
    torch.testing.assert_close(*records, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, for jvp
def test_a_module_per_sample():
    """torch.func: vmap, the gradient, and both; forward derivatives."""
    module, clips = awake(), torch.stack([frames(), 2 * frames(), frames() + 1])

    def loss(x: torch.Tensor) -> torch.Tensor:
        return module(x).square().sum()

    for with_grad in (False, True):
        with torch.set_grad_enabled(with_grad):
            out = torch.func.vmap(module)(clips)
            for i in range(3):
                torch.testing.assert_close(out[i], module(clips[i]), atol=1e-5, rtol=1e-5)
    grads = torch.func.vmap(torch.func.grad(loss))(clips)
    for i in range(3):
        x = clips[i].clone().requires_grad_()
        (wanted,) = torch.autograd.grad(loss(x), x)
        torch.testing.assert_close(torch.func.grad(loss)(clips[i]), wanted, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(grads[i], wanted, atol=1e-4, rtol=1e-4)
    tangent = torch.func.jvp(loss, (clips[0],), (clips[1],))[1]
    (wanted,) = torch.autograd.grad(loss(x := clips[0].clone().requires_grad_()), x)
    torch.testing.assert_close(tangent, (wanted * clips[1]).sum(), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiles_as_one_graph(backend):
    """In a process of its own: the shape check of the test run cannot be traced."""
    if backend == "inductor" and not shutil.which("c++"):
        pytest.skip("there is no C++ compiler, and inductor writes C++")
    code = """
import sys
import torch
from interlace.temporal import TemporalInterlace
torch.manual_seed(0)
for mirrored in (False, True):
    module = TemporalInterlace(16, num_segments=4, mirrored=mirrored)
    x = torch.randn(8, 16, 5, 7, requires_grad=True)
    compiled = torch.compile(module, fullgraph=True, backend=sys.argv[1])
    leaves = [x, *module.parameters()]
    grad = torch.randn(8, 16, 5, 7)
    torch.testing.assert_close(compiled(x), module(x))
    got, wanted = (torch.autograd.grad(f(x), leaves, grad) for f in (compiled, module))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), module(x))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, backend], check=True)


@pytest.mark.reference
@pytest.mark.parametrize("case", ["tin_module_t8_init", "tin_module_t16_init"])
def test_the_published_module_with_every_gradient(reference_dir, case):
    recorded = np.load(reference_dir / f"{case}.npz")
    meta = json.loads(str(recorded["meta"]))
    names = {
        "biasnet.net.conv": "offset_net.conv",
        "biasnet.net.fc": "offset_net.fc1",
        "biasnet.net.lastlayer": "offset_net.fc2",
        "weightnet.net.lastlayer": "weight_net.conv",
    }
    module = TemporalInterlace(
        meta["C"], meta["T"], shift_div=meta["shift_div"], offset_range=2.0, initial_offset=0.5
    )
    parameters = {
        f"{ours}.{leaf}": f"{theirs}.{leaf}" for theirs, ours in names.items() for leaf in ("weight", "bias")
    }
    module.load_state_dict(
        {ours: torch.from_numpy(recorded[f"param.{name}"]) for ours, name in parameters.items()}
    )
    x = torch.from_numpy(recorded["x"])
    out = module(x)
    torch.testing.assert_close(out, torch.from_numpy(recorded["out"]), atol=1e-5, rtol=0)
    # Gradients of parameters are sums of a thousand terms, up to 228: in float32 their rounding is 1e-4.
    module.double()
    x = x.double().requires_grad_()
    with record_offsets(module) as records:
        out = module(x)
    (out * torch.from_numpy(recorded["loss_weight"])).sum().backward()

    def check(ours: torch.Tensor, name: str) -> None:
        torch.testing.assert_close(
            ours.detach().double(), torch.from_numpy(recorded[name]).double(), atol=1e-5, rtol=0
        )

    check(out, "out")
    check(x.grad, "grad_x")
    check(records[""][0], "offset_N_by_4")
    channels = recorded["weight_N_T_C4"].shape[2] // 4
    check(records[""][1].repeat_interleave(channels, dim=2), "weight_N_T_C4")
    for ours, name in parameters.items():
        check(module.get_parameter(ours).grad, f"grad.{name}")


@pytest.mark.parametrize("change", ["no bias", "kernel of 1", "other length", "too few channels"])
def test_nets_that_do_not_fit_never_reach_the_kernels(change):
    """They compute from addresses; what plain torch refuses or computes otherwise is left to it."""
    module, x = TemporalInterlace(32, num_segments=4), torch.randn(8, 32, 5, 7)
    clip = x.unflatten(0, (2, 4))
    if change == "no bias":
        module.offset_net.fc1 = torch.nn.Linear(4, 4, bias=False)
    elif change == "kernel of 1":
        module.weight_net.conv = torch.nn.Conv1d(8, 2, 1)
    elif change == "other length":
        clip = x.unflatten(0, (1, 8))
    else:
        clip = x[:, :4].unflatten(0, (2, 4))
    parameters = module._parameters_of_nets()
    assert not parameters or not has_fused_nets(clip, parameters)


def test_a_net_without_a_bias_is_computed_by_its_layers():
    module = TemporalInterlace(32, num_segments=4)
    module.offset_net.fc1 = torch.nn.Linear(4, 4, bias=False)
    x = torch.randn(8, 32, 5, 7)
    with torch.no_grad():
        _, offset, weight, _ = module.displacement(x)
        z = x[:, :8].unflatten(0, (2, 4)).mean((-2, -1)).mT
    torch.testing.assert_close(offset[:, :2], module.offset_net(z))
    torch.testing.assert_close(weight[:, :, :2], module.weight_net(z))
