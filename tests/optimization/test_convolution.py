from __future__ import annotations

import pytest
import torch
from torch import nn

from interlace.models.backbone import TemporalConv2d
from interlace.optimization import convolution
from interlace.optimization.convolution import ACTIVATIONS, FusedConv2d
from interlace.temporal import TemporalInterlace, TemporalShift

T, C, H, W = 4, 16, 5, 7


def frames(dtype: torch.dtype = torch.float32, channels: int = C) -> torch.Tensor:
    x = torch.randn(2 * T, channels, H, W, generator=torch.Generator().manual_seed(0))
    return x.to(dtype, memory_format=torch.channels_last)


def conv(**settings: int) -> nn.Conv2d:
    made = nn.Conv2d(C, 6, **{"kernel_size": 1, **settings}).requires_grad_(False)
    return made.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("onednn", [True, False])
def test_activations(activation, onednn, monkeypatch):
    monkeypatch.setattr(convolution, "has_onednn", lambda: onednn)
    plain = conv(kernel_size=3, stride=2, padding=1, groups=2)
    x = 4 * frames()
    torch.testing.assert_close(FusedConv2d(plain, activation())(x), activation()(plain(x)))


@pytest.mark.parametrize("activation", [nn.Identity, nn.ReLU, nn.SiLU])
@pytest.mark.parametrize("onednn", [True, False])
def test_the_sum_is_written_over_the_shortcut(activation, onednn, monkeypatch):
    monkeypatch.setattr(convolution, "has_onednn", lambda: onednn)
    plain, shortcut = conv(), frames(channels=6)
    wanted = activation()(shortcut + plain(frames()))
    out = FusedConv2d(plain, activation()).add_to_(shortcut, frames())
    torch.testing.assert_close(out, wanted)
    if onednn and activation is not nn.SiLU:
        assert out.data_ptr() == shortcut.data_ptr()


@pytest.mark.parametrize(
    "temporal",
    [
        TemporalInterlace(C, T),
        TemporalInterlace(C, T, shift_div=2, num_groups=4, mirrored=False),
        TemporalShift(C, T),
        TemporalShift(C, T, fold_div=4, mode="causal"),
        nn.Hardtanh(0, 1),
    ],
    ids=["interlace", "half", "shift", "causal", "unknown"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_the_channels_that_move_are_put_in_and_back(temporal, dtype):
    temporal, plain = temporal.to(dtype), conv().to(dtype)
    x = frames(dtype)
    before = x.clone()
    wanted = plain(temporal(x))
    torch.testing.assert_close(FusedConv2d(TemporalConv2d(plain, temporal), nn.Identity())(x), wanted)
    assert torch.equal(x, before)


def test_weights_packed_for_one_size_serve_another():
    plain = conv(kernel_size=3, padding=1)
    fused = FusedConv2d(plain, nn.Identity())
    for x in (frames(), frames()[:3], frames()[:, :, :3]):
        torch.testing.assert_close(fused(x), plain(x))


def test_other_weights_are_packed_anew():
    conv = nn.Conv2d(32, 32, 1)
    fused, x = FusedConv2d(conv, nn.ReLU()), torch.randn(2, 32, 5, 7).to(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), conv(x).relu())
        conv.weight.mul_(-1)
        torch.testing.assert_close(fused(x), conv(x).relu())
