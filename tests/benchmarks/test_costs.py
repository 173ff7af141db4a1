"""Arithmetic counted by hand beside what `count_macs` says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from interlace.benchmark import count_macs

B, T, C, H, W = 2, 4, 3, 5, 7


class Call(nn.Module):
    """A function of a clip as a module, perhaps with a layer."""

    def __init__(self, function: Callable[..., Tensor], layer: nn.Module | None = None) -> None:
        super().__init__()
        self.function = function
        self.layer = layer

    def forward(self, clip: Tensor) -> Tensor:
        return self.function(clip) if self.layer is None else self.function(clip, self.layer)


def on_clip(clip: Tensor, layer: nn.Module) -> Tensor:
    return layer(clip.transpose(1, 2))


def on_frames(clip: Tensor, layer: nn.Module) -> Tensor:
    return layer(clip.flatten(0, 1))


def attention(clip: Tensor) -> Tensor:
    tokens = clip.flatten(2).unsqueeze(1)
    return F.scaled_dot_product_attention(tokens, tokens, tokens)


def align(clip: Tensor) -> Tensor:
    boxes = torch.empty(6, 5, device=clip.device)
    return roi_align(clip[:, 0], boxes, 2)


@pytest.mark.parametrize(
    ("module", "macs"),
    [
        (Call(on_clip, nn.Conv3d(C, 8, (3, 1, 1), padding=(1, 0, 0))), B * 8 * C * 3 * T * H * W),
        (Call(on_clip, nn.Conv3d(C, 8, 3, stride=(2, 1, 1))), B * 8 * C * 27 * 1 * (H - 2) * (W - 2)),
        (Call(on_frames, nn.Conv2d(C, 6, 3, padding=1, groups=3)), B * T * 6 * 1 * 9 * H * W),
        (Call(on_frames, nn.Linear(W, 11)), B * T * C * H * W * 11),
        (Call(attention), B * 2 * T * T * C * H * W),
        (Call(lambda clip: clip.flatten(2) @ clip.flatten(2).mT), B * T * T * C * H * W),
        (Call(lambda clip: torch.einsum("btchw,bschw->bts", clip, clip)), B * T * T * C * H * W),
        (Call(align), 0),
        (Call(lambda clip: clip.relu() * clip), 0),
    ],
    ids=[
        "conv3d",
        "strided",
        "grouped",
        "linear",
        "attention",
        "matmul",
        "einsum",
        "roi_align",
        "elementwise",
    ],
)
def test_counted_by_hand(module: nn.Module, macs: int) -> None:
    assert count_macs(module, (B, T, C, H, W)) == macs


def test_a_network_in_training_stays_in_training() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.Linear(C * H * W, 9), nn.Dropout(0.5))
    for device in ("cpu", "meta"):
        model.to(device).train()
        model[2].eval()
        assert count_macs(model, (B, T, C, H, W)) == B * T * C * H * W * 9
        assert [module.training for module in model] == [True, True, False]
        assert model[1].weight.device.type == device
