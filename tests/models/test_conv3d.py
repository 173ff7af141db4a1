from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from interlace.models import create_model
from interlace.models.conv3d import Conv3d


def gradients(conv: nn.Conv3d, clip: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    """Output, and what the loss sum(out * out) says of input, weight and bias."""
    clip = clip.clone().requires_grad_()
    conv.zero_grad()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        out = conv(clip)
    out.float().square().sum().backward()
    return out.float(), clip.grad, conv.weight.grad, conv.bias.grad


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("span", [3, 5])
def test_gradients_in_bfloat16_are_those_in_float32(num_frames, span):
    conv = Conv3d(64, 48, (span, 3, 3), padding=(span // 2, 1, 1))
    clip = torch.randn(2, 64, num_frames, 6, 5)
    exact = gradients(conv, clip, None)
    for _ in range(3):  # memory that was never written is harmless at times
        rounded = gradients(conv, clip, torch.bfloat16)
        for got, wanted in zip(rounded, exact, strict=True):
            assert (got - wanted).norm() < 0.02 * wanted.norm()


def test_what_it_computes_in():
    conv, clip = Conv3d(3, 4, 3, padding=1), torch.randn(2, 3, 2, 5, 7)
    assert conv(clip).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(clip).dtype == torch.bfloat16
    assert conv.bfloat16()(clip.bfloat16()).dtype == torch.bfloat16
    assert conv.double()(clip.double()).dtype == torch.float64


@pytest.mark.parametrize("name", ["i3d_resnet18", "eco_resnet18", "i3d_light_resnet18"])
def test_the_networks_use_it(name):
    with torch.device("meta"):
        model = create_model(name, num_classes=3, num_segments=8)
    spans = [m for m in model.modules() if isinstance(m, nn.Conv3d) and m.kernel_size[0] > 1]
    assert len(spans) > 5
    assert all(isinstance(module, Conv3d) for module in spans)


@pytest.mark.parametrize("modality", ["rgb", "rgb_diff"])
def test_few_frames_train_in_bfloat16(modality):
    """I3D's first convolution spans five frames, those of its blocks three."""
    build = partial(create_model, num_classes=3, modality=modality, dropout=0.0, zero_init_last=False)
    model = build("i3d_resnet18", num_segments=3).eval()  # batch statistics of two clips magnify rounding
    clip = torch.randn(2, 3, model.in_chans, 32, 32)
    found = {}
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = model(clip).float().square().sum()
        loss.backward()
        found[enabled] = model.backbone.conv1.weight.grad.clone()
    assert (found[True] - found[False]).norm() < 0.2 * found[False].norm()
