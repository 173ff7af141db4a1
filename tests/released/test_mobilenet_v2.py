"""MobileNetV2 of TSM, against the network written from its published table with the released names as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from interlace.checkpoints import load_checkpoint
from interlace.released import import_released

pytestmark = pytest.mark.reference

# Expansion, channels, blocks, stride of each stage (Sandler et al., CVPR 2018, table 2).
TABLE = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def conv_norm(x, state, conv, norm, *, stride=1, act=True):
    """Convolution, batch norm and ReLU6 by their released names."""
    weight = state[f"{conv}.weight"]
    x = F.conv2d(
        x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=x.shape[1] // weight.shape[1]
    )
    mean, var, scale, bias = (
        state[f"{norm}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    x = F.batch_norm(x, mean, var, scale, bias, eps=1e-5)
    return F.relu6(x) if act else x


def features(state, frames, mixed, prefix):
    """Frames to features; `mixed(x, name)` is what a shifted block's branch sees of x."""
    x = conv_norm(frames, state, f"{prefix}.0.0", f"{prefix}.0.1", stride=2)
    number, channels = 1, 32
    for expansion, out, blocks, stride in TABLE:
        for block in range(blocks):
            name, step = f"{prefix}.{number}.conv", stride if block == 0 else 1
            residual = step == 1 and channels == out
            y, at = mixed(x, name) if residual else x, 0
            if expansion > 1:
                first = f"{name}.0.net" if f"{name}.0.net.weight" in state else f"{name}.0"
                y, at = conv_norm(y, state, first, f"{name}.1"), 3
            y = conv_norm(y, state, f"{name}.{at}", f"{name}.{at + 1}", stride=step)
            y = conv_norm(y, state, f"{name}.{at + 3}", f"{name}.{at + 4}", act=False)
            x = x + y if residual else y
            number, channels = number + 1, out
    return conv_norm(x, state, f"{prefix}.18.0", f"{prefix}.18.1").mean((2, 3))


def test_offline_logits(released, clip, tmp_path):
    state = {name: value.double() for name, value in released("net_tsm_mobilenetv2").items()}

    def shifted(x, name):
        assert f"{name}.0.net.weight" in state
        clips = x.unflatten(0, (-1, clip.shape[1]))
        fold, moved = clips.shape[2] // 8, clips.clone()
        moved[:, :-1, :fold], moved[:, -1, :fold] = clips[:, 1:, :fold], 0
        moved[:, 1:, fold : 2 * fold], moved[:, 0, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold], 0
        return moved.flatten(0, 1)

    of_frames = features(state, clip.double().flatten(0, 1), shifted, "base_model.features")
    logits = F.linear(of_frames, state["new_fc.weight"], state["new_fc.bias"])
    torch.save(state, tmp_path / "released.pth")
    imported = import_released(tmp_path / "released.pth", tmp_path / "ours.safetensors", num_segments=4)
    model, _ = load_checkpoint(imported.path)
    with torch.no_grad():
        ours = model(clip)
    np.testing.assert_allclose(ours, logits.unflatten(0, (2, 4)).mean(1), atol=1e-5, rtol=0)
    assert ours.std() > 0.1


def test_online_logits_frame_by_frame(released, clip, tmp_path):
    state = {name: value.double() for name, value in released("net_mobilenetv2_online").items()}
    buffers = {}

    def from_buffer(x, name):
        fold = x.shape[1] // 8
        before = buffers.get(name, torch.zeros_like(x[:, :fold]))
        buffers[name] = x[:, :fold]
        return torch.cat([before, x[:, fold:]], 1)

    of_frames = [features(state, frame, from_buffer, "features") for frame in clip.double().unbind(1)]
    logits = F.linear(torch.stack(of_frames, 1), state["classifier.weight"], state["classifier.bias"])
    assert len(buffers) == 10
    torch.save(state, tmp_path / "released.pth")
    imported = import_released(tmp_path / "released.pth", tmp_path / "ours.safetensors", num_segments=4)
    model, _ = load_checkpoint(imported.path)
    with torch.no_grad():
        ours = model.forward_frames(clip)
        stepped, memory = [], model.init_state(2)
        for frame in clip.unbind(1):
            answer, memory = model.step(frame, memory)
            stepped.append(answer)
    np.testing.assert_allclose(ours, logits, atol=1e-5, rtol=0)
    np.testing.assert_allclose(torch.stack(stepped, 1), logits, atol=1e-5, rtol=0)
    assert (ours[:, 0] - ours[:, 1]).abs().max() > 1e-3


def test_the_causal_shift_is_the_recorded_one_of_the_online_network(reference_dir):
    from interlace.temporal import TemporalShift

    recorded = np.load(reference_dir / "tsm_online_shift.npz")
    frames = torch.from_numpy(recorded["frames"]).transpose(0, 1)  # (T, B, C, H, W) -> (B, T, C, H, W)
    causal = TemporalShift(24, num_segments=6, mode="causal")
    shifted = causal(frames.flatten(0, 1)).unflatten(0, (1, 6)).transpose(0, 1)
    np.testing.assert_array_equal(shifted, recorded["shifted"])
    np.testing.assert_array_equal(frames[:, -1, :3], recorded["last_buffer"])
