from __future__ import annotations

import copy
import inspect
import math
import subprocess
import sys

import pytest
import torch

from interlace.ops import interlace
from interlace.temporal import TemporalInterlace, record_offsets
from interlace.temporal.temporal_conv import (
    RegularizedTemporalConv,
    TemporalConv,
    convolve_time,
    to_temporal_conv,
    two_tap_kernel,
)

T = 5
EXACT = {"atol": 1e-12, "rtol": 1e-12}
# Two offsets at a time: inside, at integers, where the temporal extension counts (0 .. 1 and T .. T + 1), beyond T.
OFFSETS = [
    (0.0, 0.3),
    (1.0, -1.0),
    (-0.25, 1.75),
    (2.0, -3.4),
    (T - 1.0, -(T - 1.0)),
    (T - 0.4, -(T - 0.4)),
    (float(T), -float(T)),
    (T + 0.6, -1e6),
]


def frames(channels: int = 35) -> torch.Tensor:
    """Two clips of T frames; of 35 channels 8 are in the fold."""
    return torch.randn(2 * T, channels, 3, 7, dtype=torch.float64)


class Given(torch.nn.Module):
    """In the place of one of TIN's nets: says the same for every clip."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(value)
        self.fc1 = self.conv = torch.nn.Conv1d(
            1, value.shape[-1], 1, dtype=value.dtype
        )  # read for sizes and dtype

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(z), *self.value.shape)


def tin_of(offset: tuple[float, ...], *, mirrored: bool) -> TemporalInterlace:
    """A TIN module with these offsets, and weights that tell the frames and groups apart."""
    module = TemporalInterlace(35, num_segments=T, num_groups=len(offset), mirrored=mirrored)
    module.offset_net = Given(torch.tensor(offset, dtype=torch.float64))
    module.weight_net = Given(torch.rand(T, len(offset), dtype=torch.float64))
    return module


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("offset", OFFSETS)
def test_tin_with_given_offsets_is_a_constrained_convolution(offset, mirrored):
    module, x = tin_of(offset, mirrored=mirrored), frames()
    with record_offsets(module) as records:
        wanted = module(x)
    offsets, weights = records[""]
    assert offsets[0].tolist() == [*offset, *([-o for o in offset] if mirrored else [])]
    conv = to_temporal_conv(module, offsets[0], weights[0])
    torch.testing.assert_close(conv(x), wanted, **EXACT)


@pytest.mark.parametrize("offset", OFFSETS)
def test_equation_8_as_it_is_printed(offset):
    """With the paper's own O = -offset, frame by frame; all 8 channels of the fold are one group."""
    module, x = tin_of(offset[1:], mirrored=False), frames()
    clip, w, O = x.unflatten(0, (2, T)), module.weight_net.value[:, 0], -offset[1]  # noqa: E741
    n0 = math.floor(O)
    U = {t: clip[:, t, :8] for t in range(T)}
    conv = to_temporal_conv(module, module.offset_net.value, module.weight_net.value)
    V = conv(x).unflatten(0, (2, T))
    for t in range(T):
        after, before = (U.get(at, torch.zeros_like(U[0])) for at in (t + n0 + 1, t + n0))
        wanted = w[t] * ((O - n0) * after + (n0 + 1 - O) * before)
        torch.testing.assert_close(V[:, t, :8], wanted, **EXACT)


@pytest.mark.parametrize("offset", OFFSETS)
def test_gradients_are_those_of_tin(offset):
    tin, x = tin_of(offset, mirrored=True), frames().requires_grad_()
    conv = RegularizedTemporalConv(35, num_segments=T).double()
    with torch.no_grad():
        conv.offset.copy_(tin.offset_net.value)
        conv.weight.copy_(tin.weight_net.value)
    g = torch.randn(2 * T, 35, 3, 7, dtype=torch.float64)
    # The derivative at an integer is the right one in both.
    wanted = torch.autograd.grad(tin(x), (x, tin.offset_net.value, tin.weight_net.value), g)
    found = torch.autograd.grad(conv(x), (x, conv.offset, conv.weight), g)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_gradcheck_away_from_integers():
    conv = RegularizedTemporalConv(8, num_segments=4, shift_div=2).double()
    x = torch.randn(4, 8, 1, 2, dtype=torch.float64, requires_grad=True)
    offset = torch.tensor([0.4, -1.3], dtype=torch.float64, requires_grad=True)
    weight = torch.rand(4, 2, dtype=torch.float64, requires_grad=True)

    def run(x, offset, weight):
        return torch.func.functional_call(conv, {"offset": offset, "weight": weight}, (x,))

    assert torch.autograd.gradcheck(run, (x, offset, weight))


def test_the_learned_offsets_of_a_clip():
    """Not set by hand: what the nets of a module say of one clip."""
    module = TemporalInterlace(35, num_segments=T).double()
    x = frames()
    with record_offsets(module) as records:
        wanted = module(x)
    offset, weight = records[""]
    for clip in range(2):
        rows = slice(clip * T, (clip + 1) * T)
        found = to_temporal_conv(module, offset[clip], weight[clip])(x[rows])
        torch.testing.assert_close(found, wanted[rows], **EXACT)


@pytest.mark.parametrize(("channels", "shift_div"), [(35, 4), (24, 5), (64, 8), (9, 2)])
def test_the_converter_keeps_the_fold(channels, shift_div):
    module = TemporalInterlace(channels, num_segments=4, shift_div=shift_div, num_groups=1, mirrored=False)
    conv = to_temporal_conv(module, torch.tensor([1.0]))
    assert (conv.fold, conv.num_segments) == (module.fold, 4)
    assert torch.equal(conv.weight, torch.ones(4, 1))


def test_offsets_that_do_not_fit_are_errors():
    module = TemporalInterlace(32, num_segments=4)
    convert = inspect.unwrap(to_temporal_conv)
    with pytest.raises(ValueError, match=r"offset must be \(G,\)=\(4,\)"):
        convert(module, torch.zeros(2))
    with pytest.raises(ValueError, match=r"weight \(T, G\)=\(4, 4\).* \(4, 2\)"):
        convert(module, torch.zeros(4), torch.ones(4, 2))
    with pytest.raises(ValueError, match="finite"):
        convert(module, torch.tensor([0.0, 1.0, float("nan"), 0.0]))


def test_the_kernel_has_two_taps():
    kernel = two_tap_kernel(torch.tensor([0.25, -2.0, 1.5, -0.75]), reach=2)
    # Taps at t-2, t-1, t, t+1, t+2; a positive offset delays, so it reads the past.
    assert kernel.tolist() == [
        [0, 0.25, 0.75, 0, 0],
        [0, 0, 0, 0, 1],
        [0.5, 0.5, 0, 0, 0],
        [0, 0, 0.25, 0.75, 0],
    ]
    assert two_tap_kernel(torch.tensor([2.25]), reach=2).tolist() == [[0.75, 0, 0, 0, 0]]


def test_convolution_along_time_by_hand():
    clip = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1, 1).expand(1, 3, 2, 1, 2)
    out = convolve_time(clip, torch.tensor([[1.0, 10.0, 100.0], [0.0, 1.0, 0.0]]))
    assert out[0, :, 0, 0, 1].tolist() == [0 + 10 + 200, 1 + 20 + 400, 2 + 40 + 0]
    assert torch.equal(out[:, :, 1], clip[:, :, 1])


@pytest.mark.parametrize("cls", [RegularizedTemporalConv, TemporalConv])
@pytest.mark.parametrize(("given", "frames_moved"), [({}, 1.0), ({"initial_offset": 0.5}, 0.5)])
def test_starts_as_tin_does(cls, given, frames_moved):
    module, x = cls(35, num_segments=T, **given).double(), frames()
    clip = x.unflatten(0, (2, T))
    offset = torch.full((2, 2), frames_moved, dtype=torch.float64)
    wanted = interlace(clip, torch.cat([offset, -offset], 1), fold=8)
    torch.testing.assert_close(module(x), wanted.flatten(0, 1), **EXACT)


def test_the_number_of_parameters():
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(RegularizedTemporalConv(64, num_segments=8)) == 2 + 2 * 8
    assert count(TemporalConv(64, num_segments=8)) == 16 * 5
    assert count(TemporalConv(64, num_segments=8, offset_range=4.0)) == 16 * 9
    assert count(TemporalConv(64, offset_range=1.5)) == 16 * 5  # the offset 1.5 reads the taps 1 and 2


@pytest.mark.parametrize("cls", [RegularizedTemporalConv, TemporalConv])
def test_every_parameter_learns_and_half_precision_stays(cls):
    module = cls(32, num_segments=4)
    x = torch.randn(8, 32, 3, 5)
    module(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().min() > 0 for p in module.parameters())
    wanted = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        out = module(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), wanted, atol=0.02, rtol=0.02)
    assert module(x.to(memory_format=torch.channels_last)).allclose(wanted, atol=1e-6)


def test_the_fused_convolution_sees_the_same():
    module, x = RegularizedTemporalConv(35, num_segments=T).double(), frames()
    with torch.no_grad():
        module.offset.copy_(torch.tensor([0.7, -1.2]))
        module.weight.uniform_()
    torch.testing.assert_close(interlace(*module.displacement(x)).flatten(0, 1), module(x), **EXACT)


def test_another_number_of_frames():
    module = RegularizedTemporalConv(32, num_segments=4)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 1.0]]))
    longer = RegularizedTemporalConv(32, num_segments=8)
    longer.load_state_dict(module.resampled_state(8))
    assert torch.equal(longer.offset, module.offset)
    assert longer.weight[:, 0].tolist() == [1.0, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0]
    assert longer.weight[:, 1].tolist() == [0, 0, 0, 0, 0, 0.25, 0.75, 1]
    same = module.resampled_state(4)
    assert torch.equal(same["weight"], module.weight)


def test_one_frame_is_left_where_it_is():
    module, x = RegularizedTemporalConv(16, num_segments=1, initial_offset=0.0), torch.randn(3, 16, 2, 2)
    assert torch.equal(module(x), x)
    torch.testing.assert_close(TemporalConv(16, num_segments=1, initial_offset=0.0)(x), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RegularizedTemporalConv(24), "fold of 6 .* 4 groups"),
        (lambda: RegularizedTemporalConv(8, num_groups=4), "fold of 2 .* 8 groups"),
        (lambda: TemporalConv(3), r"fold of 0 channels \(3 // shift_div=4\)"),
        (lambda: TemporalConv(16, offset_range=1.0, initial_offset=-1.5), "-1.5 must lie within"),
    ],
)
def test_sizes_that_do_not_fit_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_print_shows_the_numbers():
    assert RegularizedTemporalConv(24, num_segments=5, num_groups=3, mirrored=False).extra_repr() == (
        "24, fold=6, num_segments=5, num_groups=3, mirrored=False"
    )
    assert TemporalConv(24, num_segments=5).extra_repr() == "24, fold=6, num_segments=5, taps=5"


def test_copies_are_independent():
    module = RegularizedTemporalConv(16, num_segments=4)
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.offset.zero_()
    assert module.offset.tolist() == [1.0, 1.0]


def test_compiles_as_one_graph():
    code = """
import torch
from interlace.temporal.temporal_conv import RegularizedTemporalConv, TemporalConv
torch.manual_seed(0)
for module in (RegularizedTemporalConv(16, 4), TemporalConv(16, 4)):
    frames = torch.randn(8, 16, 3, 5)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(frames), module(frames))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("offset", [float("nan"), float("inf")])
def test_an_initial_offset_is_a_number_of_frames(offset):
    with pytest.raises(ValueError, match="must be a finite number of frames"):
        RegularizedTemporalConv(16, initial_offset=offset)


@pytest.mark.parametrize("module", [RegularizedTemporalConv, TemporalConv, TemporalInterlace])
def test_a_fold_needs_a_divisor(module):
    with pytest.raises(ValueError, match=r"shift_div=0 and [14] groups of channels; both must be at least 1"):
        module(16, shift_div=0)
