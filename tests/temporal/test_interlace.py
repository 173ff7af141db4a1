from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from interlace.ops import interlace
from interlace.temporal import TemporalInterlace, record_offsets

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


def test_the_initial_bias_is_the_released_one():
    assert TemporalInterlace(16).offset_net.fc2.bias.tolist() == pytest.approx([0.5108] * 2, abs=1e-4)
    assert TemporalInterlace(16).weight_net.conv.bias.tolist() == [0, 0]


def test_the_number_of_parameters():
    fold, num_segments = 16, 8
    module = TemporalInterlace(64, num_segments=num_segments)
    assert sum(p.numel() for p in module.parameters()) == 9 * fold + num_segments**2 + 3 * num_segments + 5


def test_print_shows_the_numbers():
    module = TemporalInterlace(24, num_segments=5, num_groups=3, mirrored=False, offset_range=1.5)
    assert module.extra_repr() == (
        "24, fold=6, num_segments=5, num_groups=3, mirrored=False, offset_range=1.5"
    )
    assert "offset_range=1.5" in str(module)


@pytest.mark.parametrize(
    ("channels", "groups", "message"), [(24, 2, "fold of 6 .* 4 groups"), (8, 4, "fold of 2 .* 8 groups")]
)
def test_a_fold_that_does_not_divide_is_an_error(channels, groups, message):
    with pytest.raises(ValueError, match=message):
        TemporalInterlace(channels, num_groups=groups)


@pytest.mark.parametrize("initial", [2.0, -3.0])
def test_an_initial_offset_out_of_range_is_an_error(initial):
    with pytest.raises(ValueError, match="initial_offset"):
        TemporalInterlace(16, initial_offset=initial)


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
    module = TemporalInterlace(meta["C"], num_segments=meta["T"], shift_div=meta["shift_div"])
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
