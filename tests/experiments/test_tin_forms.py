"""The forms that are tried: what they share with the package's own TIN is the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from interlace.ops import interlace
from interlace.temporal import TemporalInterlace, TemporalShift
from studies.utd import AS_TSM, FOUR_STARTS, PER_FRAME
from tin_forms import Form, OverClips, by_frame

SPREAD = {"start": [1.0, 2.0], "offset_range": 3.0}


@pytest.mark.parametrize(
    ("num_groups", "parts"), [(2, SPREAD), (4, FOUR_STARTS.model_args["parts"])], ids=["two", "four"]
)
def test_the_spread_forms_are_those_of_the_package(num_groups: int, parts: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours, form = TemporalInterlace(32, 6, num_groups=num_groups), Form(32, 6, **parts)
    state = ours.state_dict()
    # A form keeps where its groups begin apart from the bias.
    form.load_state_dict({**state, "offset_net.fc2.bias": state["offset_net.fc2.bias"] - form.start})
    frames = torch.randn(12, 32, 5, 5)
    torch.testing.assert_close(form(frames), ours(frames))


def test_the_form_that_begins_as_tsm_is_tsm_until_it_learns() -> None:
    form, frames = Form(32, 6, **AS_TSM.model_args["parts"]), torch.randn(12, 32, 5, 5)
    assert torch.equal(form(frames), TemporalShift(32, 6)(frames))


def test_an_offset_for_every_frame_that_is_the_same_for_all_is_one_for_the_clip() -> None:
    clip, offset, weight = torch.randn(2, 6, 8, 3, 3), torch.tensor([[0.3, -1.6]] * 2), torch.rand(2, 6, 2)
    moved = by_frame(clip, offset[:, None].expand(-1, 6, -1), weight, reach=2)
    torch.testing.assert_close(moved, interlace(clip, offset, weight, 8))


@pytest.mark.parametrize(
    "parts",
    [
        {"per": "frame"},
        {"per": "static"},
        {"per": "fixed"},
        {"weights": "none"},
        {"exact": True, "start": [1.0], "offset_range": 2.0},
        {"squash": "add"},
        {"norm": "frame"},
        {"norm": "clips"},
        {"pool": "max"},
        {"rounding": True},
        {"lr_factor": 0.1},
        {"jitter": 0.5},
        {"anneal": 10},
        {"warm_up": 10},
        {"per": "frame", "weights": "two_convs"},
    ],
    ids=str,
)
def test_every_part_learns(parts: dict[str, object]) -> None:
    torch.manual_seed(0)
    form = Form(64, 6, **{**SPREAD, **parts})  # type: ignore[arg-type]
    frames = torch.randn(12, 64, 5, 5, requires_grad=True)
    form(frames).square().sum().backward()
    assert frames.grad is not None
    for name, parameter in form.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_slow_net_begins_the_same_and_learns_less() -> None:
    grads = []
    for factor in (1.0, 0.1):
        torch.manual_seed(0)
        form = Form(64, 6, **SPREAD, lr_factor=factor)
        form(torch.randn(12, 64, 5, 5)).square().sum().backward()
        grads.append(form.offset_net.fc2.weight.grad)
    torch.testing.assert_close(grads[1], 0.1 * grads[0])


def test_the_offset_for_every_frame_begins_as_a_shift_by_one_frame() -> None:
    form, frames = Form(32, 6, **PER_FRAME.model_args["parts"]), torch.randn(12, 32, 5, 5)
    shifted = Form(32, 6, per="fixed", weights="none")
    torch.testing.assert_close(form(frames), shifted(frames))


def test_annealed_offsets_end_as_whole_frames() -> None:
    torch.manual_seed(0)
    form, z = Form(64, 6, **SPREAD, anneal=4), torch.randn(2, 6, 16)
    offsets = [form._offset(z).detach() for _ in range(5)]
    apart = [float((offset - offset.round()).abs().max()) for offset in offsets]
    assert apart[0] > 0.01
    assert apart == pytest.approx([apart[0] * part for part in (1, 2 / 3, 1 / 3, 0, 0)], abs=1e-5)
    again = Form(64, 6, **SPREAD, anneal=4)
    again.load_state_dict(form.state_dict())
    assert torch.equal(again.eval()._offset(z), offsets[-1])


def test_a_net_that_is_warmed_up_begins_without_learning() -> None:
    torch.manual_seed(0)
    form, grads = Form(64, 6, **SPREAD, warm_up=4), []
    for _ in range(6):
        form.zero_grad()
        form._offset(torch.ones(2, 6, 16)).sum().backward()
        grads.append(float(form.offset_net.fc2.bias.grad[0]))
    assert grads == pytest.approx([grads[-1] * part for part in (0.25, 0.5, 0.75, 1, 1, 1)])


def test_jitter_is_of_the_clip_and_of_training_alone() -> None:
    torch.manual_seed(0)
    form, plain = Form(64, 6, **SPREAD, jitter=0.5), Form(64, 6, **SPREAD)
    plain.load_state_dict(form.state_dict())
    z = torch.randn(1, 6, 16).expand(50, -1, -1)
    factor = form._offset(z) / plain._offset(z)
    torch.testing.assert_close(factor[:, 0], factor[:, 1])
    assert 0.5 <= factor.min() < 0.7
    assert 1.3 < factor.max() <= 1.5
    frames = torch.randn(12, 64, 5, 5)
    assert torch.equal(form.eval()(frames), plain.eval()(frames))


def test_what_all_clips_have_in_common_is_taken_away() -> None:
    z = 5 + torch.randn(8, 6, 16) * torch.linspace(1, 9, 16)
    left = OverClips(16, affine=False)(z)
    torch.testing.assert_close(left.mean((0, 1)), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(left.std((0, 1), correction=0), torch.ones(16), atol=1e-3, rtol=0)


def test_rounded_offsets_are_shifts() -> None:
    torch.manual_seed(0)
    form = Form(64, 6, **SPREAD, rounding=True, weights="none")
    torch.nn.init.zeros_(form.offset_net.fc2.weight)
    torch.nn.init.zeros_(form.offset_net.fc2.bias)
    frames = torch.randn(6, 64, 2, 2)
    moved = form(frames).detach()
    assert torch.equal(moved[1:, :4], frames[:-1, :4])  # the first group comes one frame later
    assert torch.equal(moved[2:, 4:8], frames[:-2, 4:8])
