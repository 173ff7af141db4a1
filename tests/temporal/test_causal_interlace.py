from __future__ import annotations

import pytest
import torch

from interlace.ops import temporal_shift
from interlace.temporal import CausalInterlace
from interlace.temporal.stream import passing

B, T, C, H, W = 2, 5, 24, 3, 4


def trained(**arguments) -> CausalInterlace:
    """As at the start, but that its offsets depend on what it sees."""
    module = CausalInterlace(C, num_segments=T, **arguments)
    torch.nn.init.normal_(module.offset_net.last.weight, std=2.0)
    return module.eval()


def test_it_starts_as_a_causal_shift_of_its_fold():
    module = CausalInterlace(C, num_segments=T, num_groups=3)
    torch.nn.init.zeros_(module.weight_net.conv.weight)  # so that every weight is 1
    frames = torch.randn(B * T, C, H, W)
    shifted = temporal_shift(frames.unflatten(0, (B, T)), 4, "causal")
    torch.testing.assert_close(module(frames), shifted.flatten(0, 1))


def test_the_future_changes_nothing():
    module, frames = trained(num_groups=3), torch.randn(T, C, H, W)
    later = frames.clone()
    later[3:] += 1
    assert torch.equal(module(frames)[:3], module(later)[:3])
    assert not torch.equal(module(frames)[3:], module(later)[3:])


def test_offsets_differ_from_frame_to_frame_within_the_range():
    module = trained(num_groups=3, offset_range=1.5)
    z = torch.randn(B, T, module.fold * module.window)
    offset = module.offset_net(z)
    assert offset.shape == (B, T, 3)
    assert (offset > 0).all()
    assert (offset < 1.5).all()
    assert offset.std(1).min() > 0.01


def test_the_first_gradient_reaches_the_offsets():
    module = CausalInterlace(C, num_segments=T, num_groups=3)
    (module(torch.randn(B * T, C, H, W)) ** 2).sum().backward()
    assert module.offset_net.last.bias.grad.abs().min() > 0


@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "arguments", [{}, {"offset_range": 2.5, "window": 1}, {"num_groups": 2, "window": 4}]
)
def test_frame_by_frame_is_the_clip(arguments, layout, with_gradient):
    module = trained(**{"num_groups": 3, **arguments})
    frames = torch.randn(B * T, C, H, W).contiguous(memory_format=layout)
    clip = frames.unflatten(0, (B, T))
    state, out = module.init_state(B, torch.float32, frames.device), []
    with torch.set_grad_enabled(with_gradient):
        for t in range(T):
            with passing([module], B, state) as passages:
                out.append(module(clip[:, t].contiguous(memory_format=layout)))
            state = passages[0].state
    torch.testing.assert_close(torch.stack(out, 1), module(frames).unflatten(0, (B, T)))
    assert len(state) == len(module.state_names())
    assert all(torch.equal(state[ago], clip[:, T - 1 - ago, : module.fold]) for ago in range(module.reach))


def test_what_it_says_of_itself():
    module = CausalInterlace(C, num_segments=T, num_groups=3, offset_range=2.5)
    assert module.state_names() == ("past1", "past2", "past3", "descriptors")
    assert str(module).startswith(
        "CausalInterlace(\n  24, fold=6, num_segments=5, num_groups=3, offset_range=2.5, window=3"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_groups": 5}, "does not divide into 5 groups"),
        (
            {"num_groups": 3, "initial_offset": 2.0},
            "initial_offset=2.0 must lie between 0 and offset_range=2.0",
        ),
        ({"num_groups": 3, "initial_offset": -0.5}, "initial_offset=-0.5 must lie between 0"),
        ({"num_groups": 3, "window": 0}, "window=0 and hidden=8"),
    ],
)
def test_what_cannot_be_built_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CausalInterlace(C, **arguments)
