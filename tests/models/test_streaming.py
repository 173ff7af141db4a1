"""Frames one by one are the clip: for every network that streams, as it is and optimized."""

from __future__ import annotations

import copy
import inspect
from threading import Thread

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import interlace
from interlace.models import VideoModel, list_models
from interlace.temporal import CausalInterlace, TemporalShift
from interlace.temporal.stream import passing

B, T, K = 2, 7, 5
NAMES = [
    *(
        f"{method}_{backbone}"
        for method in ("tsm_causal", "tin_causal")
        for backbone in ("resnet18", "resnet50")
    ),
    *("tsm_causal_mobilenetv2_100", "tin_causal_mobilenetv2_100", "tsn_resnet18"),
]


def network(name: str, **arguments) -> VideoModel:
    """With batch norms and offsets that are not those of the start."""
    model = interlace.create_model(name, num_classes=K, num_segments=3, **arguments).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, CausalInterlace):
            nn.init.normal_(module.offset_net.last.weight, std=0.5)
    for head in model.heads():
        nn.init.normal_(head.weight, std=0.05)
    return model


def steps(model, clip: Tensor, state) -> Tensor:
    logits = []
    for frame in clip.unbind(1):
        out, state = model.step(frame, state)
        logits.append(out)
    return torch.stack(logits, 1)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_step_by_step_equals_the_clip(name):
    model, clip = network(name), torch.randn(B, T, 3, 48, 40)
    whole = model.forward_frames(clip)
    assert whole.shape == (B, T, K)
    assert whole.std() > 0.01  # it says something
    torch.testing.assert_close(steps(model, clip, model.init_state(B)), whole, atol=1e-5, rtol=1e-5)
    # After a reset, with the full shapes, and on the other half of the frames.
    torch.testing.assert_close(
        steps(model, clip[:, 3:], model.init_state(B, (48, 40))),
        model.forward_frames(clip[:, 3:]),
        atol=1e-5,
        rtol=1e-5,
    )
    torch.testing.assert_close(
        model(clip[:, :3]), model.forward_frames(clip[:, :3]).mean(1), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["tsm_causal_resnet18", "tin_causal_resnet18"])
def test_gradients_flow_through_steps_as_through_the_clip(name):
    model, clip = network(name), torch.randn(1, 3, 3, 32, 32)
    model.forward_frames(clip)[:, -1].sum().backward()
    of_clip = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    model.zero_grad()
    steps(model, clip, model.init_state(1))[:, -1].sum().backward()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, of_clip[key], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["tin_causal_resnet18", "tsm_causal_mobilenetv2_100", "tin_causal_resnet50"])
def test_optimized_networks_stream(name, dtype):
    model, clip = network(name), torch.randn(B, T, 3, 48, 40)
    fast = interlace.optimize(model, dtype=dtype, verify=False)
    stepped = steps(fast, clip, fast.init_state(B))
    assert fast.streams
    assert fast.state_names() == model.state_names()
    with torch.no_grad():
        exact = model.forward_frames(clip)
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 0.1 * float(exact.abs().max())}[dtype]
    torch.testing.assert_close(stepped, exact, atol=tolerance, rtol=1e-4)
    torch.testing.assert_close(fast.forward_frames(clip), exact, atol=tolerance, rtol=1e-4)


def test_the_state_of_a_size_has_the_shapes_that_it_keeps():
    model = network("tin_causal_resnet18")
    state = model.init_state(B, image_size=48)
    _, after = model.step(torch.randn(B, 3, 48, 48), state)
    assert [memory.shape for memory in state] == [memory.shape for memory in after]
    assert len(state) == len(model.state_names()) == 24
    assert model.state_names()[:3] == (
        "layer1.0.conv1.past1",
        "layer1.0.conv1.past2",
        "layer1.0.conv1.descriptors",
    )
    assert not any(memory.any() for memory in state)


def test_a_state_is_not_changed_by_a_step():
    model, frame = network("tsm_causal_resnet18"), torch.randn(B, 3, 48, 48)
    _, state = model.step(frame, model.init_state(B))
    before = [memory.clone() for memory in state]
    model.step(frame + 1, state)
    assert all(torch.equal(memory, kept) for memory, kept in zip(state, before, strict=True))


def test_each_tensor_of_a_state_can_be_written_to():
    model = network("tin_causal_resnet18")
    fresh = model.init_state(B)
    with torch.no_grad():
        _, after = model.step(torch.randn(B, 3, 48, 48), fresh)
    for state in (fresh, after):
        for number, memory in enumerate(state):
            memory.copy_(torch.full_like(memory, number))
        assert [memory.unique().tolist() for memory in state] == [[number] for number in range(len(state))]


def test_a_fresh_state_leaves_the_network_as_it_is():
    model = network("tsm_causal_resnet18").train()
    model.backbone.bn1.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.init_state(B, image_size=48)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert model.backbone.layer1.training
    assert not model.backbone.bn1.training


@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize("name", ["tsm_causal_resnet18", "tin_causal_resnet18"])
def test_frames_of_another_size_are_named(name, with_gradient):
    model = network(name)
    with torch.set_grad_enabled(with_gradient):
        _, state = model.step(torch.randn(1, 3, 64, 64), model.init_state(1))
        with pytest.raises(
            ValueError, match=r"remembers maps of .* = \(\d+, 16, 16\), .* all frames of a stream"
        ):
            model.step(torch.randn(1, 3, 48, 48), state)


@torch.no_grad()
def test_an_error_within_a_step_leaves_nothing_behind():
    model, frame = network("tsm_causal_resnet18"), torch.randn(1, 3, 48, 48)
    expected, _ = model.step(frame, model.init_state(1))

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    hook = model.backbone.layer3[0].register_forward_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        model.step(frame, model.init_state(1))
    hook.remove()
    assert model(frame.expand(1, 3, -1, -1, -1)).shape == (1, K)
    assert torch.equal(model.step(frame, model.init_state(1))[0], expected)


@pytest.mark.parametrize("in_clips", [False, True])
@torch.no_grad()
def test_two_threads_cannot_mix_their_streams(in_clips):
    model, frame = network("tsm_causal_resnet18"), torch.randn(1, 3, 48, 48)
    expected, _ = model.step(frame, model.init_state(1))
    answers = []

    def other(*_: object) -> None:
        hook.remove()

        @torch.no_grad()
        def work() -> None:
            try:
                clip = torch.zeros(1, 3, 3, 48, 48)
                answers.append(model(clip) if in_clips else model.step(clip[:, 0], model.init_state(1))[0])
            except RuntimeError as error:
                answers.append(error)
            answers.append(copy.deepcopy(model).step(0 * frame, model.init_state(1))[0])

        thread = Thread(target=work)
        thread.start()
        thread.join()

    hook = model.backbone.layer3[0].register_forward_pre_hook(other)
    assert torch.equal(model.step(frame, model.init_state(1))[0], expected)
    refused, of_copy = answers
    assert isinstance(refused, RuntimeError)
    assert "two threads use the same network at once" in str(refused)
    assert torch.equal(of_copy, copy.deepcopy(model).step(0 * frame, model.init_state(1))[0])


def test_a_network_that_another_thread_took_over_does_not_answer():
    """It comes between the check of the first thread and its frames; here it is not seen at all."""
    shift = TemporalShift(8, mode="causal")
    state = shift.init_state(1, torch.float32, torch.device("cpu"))
    with pytest.raises(RuntimeError, match="two threads"), passing([shift], 1, state):
        shift.passage = None


@torch.no_grad()
def test_fake_tensors_go_through_a_step():
    model, frames = network("tin_causal_resnet18"), torch.randn(2, 1, 3, 48, 48)
    _, state = model.step(frames[0], model.init_state(1))
    _, after = model.step(frames[1], state)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        _, shapes = model.step(fake.from_tensor(frames[0]), tuple(map(fake.from_tensor, state)))
    assert [memory.shape for memory in shapes] == [memory.shape for memory in after]


def test_the_state_is_as_small_as_said():
    """One fold of one frame for a shift, two folds for TIN: the numbers of the documentation."""
    count = {
        name: sum(memory.numel() for memory in network(name).init_state(1, 224))
        for name in ("tsm_causal_resnet50", "tin_causal_resnet50", "tsm_causal_mobilenetv2_100")
    }
    assert count == {
        "tsm_causal_resnet50": 702_464,
        "tin_causal_resnet50": 2_816_416,
        "tsm_causal_mobilenetv2_100": 27_048,
    }


@pytest.mark.parametrize("name", ["tin_resnet18", "tsm_resnet18", "i3d_resnet18", "two_stream_tsn_resnet18"])
def test_networks_that_look_ahead_say_so(name):
    model = interlace.create_model(name, num_classes=K, num_segments=4)
    assert not model.streams
    for call in (
        lambda: model.init_state(1),
        lambda: model.step(torch.zeros(1, 3, 32, 32), ()),
        lambda: model.forward_frames(torch.zeros(1, 4, 3, 32, 32)),
        lambda: model.state_names(),
    ):
        with pytest.raises(ValueError, match=r"cannot come one by one; causal networks can: tsm_causal_"):
            call()


def test_every_causal_name_streams():
    assert all(
        interlace.create_model(name, num_classes=K).streams for name in list_models("*_causal_resnet*")
    )


@pytest.mark.parametrize(
    ("frame", "batch", "message"),
    [
        (torch.zeros(B, 1, 32, 32), B, "the frames have 1 channels, the network in_chans=3"),
        (torch.zeros(3, 3, 32, 32), B, r"batches of \[2\]; this network remembers 8, here of a batch of 3"),
    ],
)
def test_what_does_not_fit_is_named(frame, batch, message):
    model = network("tsm_causal_resnet18")
    with pytest.raises(ValueError, match=message):
        model.step(frame, model.init_state(batch))


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.zeros(2, 3, 32, 32), r"clips are \(B, T, C, H, W\), .* got \(2, 3, 32, 32\)"),
        (
            torch.zeros(1, 2, 3, 32, 32, dtype=torch.uint8),
            "normalised floating point numbers; got .* torch.uint8",
        ),
        (torch.zeros(0, 2, 3, 32, 32), "the batch holds no clip"),
        (torch.zeros(1, 0, 3, 32, 32), "the clip holds no frame"),
    ],
)
def test_what_are_no_frames_is_named(clip, message):
    model = network("tsm_causal_resnet18")
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(type(model).check_frames)(model, clip)


def test_a_state_of_another_network_is_named():
    model = network("tsm_causal_resnet18")
    with pytest.raises(ValueError, match=r"the state has 7 tensors .* this network remembers 8"):
        model.step(torch.zeros(1, 3, 32, 32), model.init_state(1)[:-1])
    with pytest.raises(ValueError, match="batch=0 must be at least 1"):
        model.init_state(0)
    for network_of in (model, interlace.optimize(model, verify=False)):
        with pytest.raises(ValueError, match="the clip holds no frame"):
            network_of.forward_frames(torch.zeros(1, 0, 3, 32, 32))


@pytest.mark.reference
def test_the_published_online_shift_step_by_step(reference_dir):
    recorded = np.load(reference_dir / "tsm_online_shift.npz")
    shift = TemporalShift(24, mode="causal")
    state = shift.init_state(1, torch.float32, torch.device("cpu"))
    for frame, expected in zip(recorded["frames"], recorded["shifted"], strict=True):
        with passing([shift], 1, state) as passages:
            np.testing.assert_array_equal(shift(torch.from_numpy(frame)), expected)
        state = passages[0].state
    np.testing.assert_array_equal(state[0], recorded["last_buffer"])
