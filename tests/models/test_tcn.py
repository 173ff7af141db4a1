from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from interlace.models import create_model, with_num_segments
from interlace.models.tcn import rtcn, tcn
from interlace.temporal.temporal_conv import RegularizedTemporalConv, TemporalConv


@pytest.mark.parametrize(("method", "own"), [("rtcn", 16 * (2 + 2 * 8)), ("tcn", 5 * 3280)])
def test_the_places_and_channels_of_tin(method, own):
    """3280: the channels of the 16 folds of ResNet-50."""
    with torch.device("meta"):
        models = {name: create_model(f"{name}_resnet50", num_classes=174) for name in (method, "tin", "tsn")}
    size = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert size[method] - size["tsn"] == own
    places = {
        name: [key for key, module in model.named_modules() if key.endswith(".temporal")]
        for name, model in models.items()
    }
    assert places[method] == places["tin"]
    for key in places["tin"]:
        assert models[method].get_submodule(key).fold == models["tin"].get_submodule(key).fold


def test_arguments_reach_the_modules():
    module = rtcn("resnet18", num_segments=6, shift_div=8, num_groups=1, mirrored=False, initial_offset=1.0)
    conv = module.layer1[0].conv1.temporal
    assert isinstance(conv, RegularizedTemporalConv)
    assert (conv.fold, conv.weight.shape, conv.offset.tolist(), conv.mirrored) == (8, (6, 1), [1.0], False)
    free = tcn("resnet18", num_segments=6, offset_range=3.0, initial_offset=-1.0).layer4[1].conv1.temporal
    assert isinstance(free, TemporalConv)
    assert (free.fold, free.num_segments) == (128, 6)
    assert free.kernel[0].tolist() == [0, 0, 0, 0, 1, 0, 0]  # an offset of -1 reads the next frame
    assert free.kernel[-1].tolist() == [0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("method", ["rtcn", "tcn"])
def test_a_fold_that_does_not_divide_is_made_smaller(method):
    """24 // 4 = 6 channels in MobileNetV2 are no four groups, 24 // 5 = 4 are."""
    with torch.device("meta"):
        model = create_model(f"{method}_mobilenetv2_100", num_classes=3)
    folds = {
        m.channels: m.fold for m in model.modules() if isinstance(m, RegularizedTemporalConv | TemporalConv)
    }
    assert (folds[24], folds[32]) == (4, 8)


@pytest.mark.parametrize("method", ["rtcn", "tcn"])
def test_learns_the_order_of_frames(method):
    """Clips of a dot that moves one way or the other: single frames say nothing of the class."""
    model = create_model(f"{method}_test_resnet", num_classes=2, num_segments=4, dropout=0.0)
    model.head.weight.data.normal_(std=0.05)
    clips = torch.zeros(4, 4, 3, 16, 16)
    for n in range(4):
        for t in range(4):
            clips[n, t if n % 2 else 3 - t, :, 4 * (n // 2) + 2 : 4 * (n // 2) + 9, 4 * t : 4 * t + 4] = 1
    labels = torch.arange(4) % 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if "temporal" in name}
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    after = dict(model.named_parameters())
    assert [name for name, value in before.items() if torch.equal(after[name], value)] == []


def test_the_fused_network_and_the_convolution_agree():
    """Without hooks the convolution behind it displaces what it reads; a hook wants to see the module's output."""
    model = create_model("rtcn_test_resnet", num_classes=2, num_segments=4, zero_init_last=False).double()
    for module in model.modules():
        if isinstance(module, RegularizedTemporalConv):
            module.offset.data.uniform_(-2, 2)
            module.weight.data.uniform_(0, 2)
    model.head.weight.data.normal_()
    clip, seen = torch.randn(3, 4, 3, 32, 32, dtype=torch.float64), []
    results = []
    for _ in range(2):
        model.zero_grad()
        out = model.eval()(clip)
        out.square().sum().backward()
        results.append([out, *(p.grad for p in model.parameters())])
        for module in model.modules():
            if isinstance(module, RegularizedTemporalConv):
                module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    assert len(seen) == sum(isinstance(m, RegularizedTemporalConv) for m in model.modules())
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("method", ["rtcn", "tcn"])
def test_another_number_of_frames(method):
    model = create_model(f"{method}_test_resnet", num_classes=2, num_segments=4).eval()
    longer = with_num_segments(model, 6)
    assert longer(torch.randn(1, 6, 3, 32, 32)).shape == (1, 2)
    clip = torch.randn(2, 4, 3, 32, 32)
    torch.testing.assert_close(with_num_segments(longer, 4)(clip), model(clip))


@pytest.mark.parametrize("method", ["rtcn", "tcn"])
def test_weights_of_the_plain_network_load(method, tmp_path):
    image = timm.create_model("test_resnet", num_classes=7)
    save_file(image.state_dict(), tmp_path / "image.safetensors")
    model = create_model(
        f"{method}_test_resnet", num_classes=2, num_segments=4, pretrained=tmp_path / "image.safetensors"
    )
    wanted = image.layer1[0].conv1.weight
    assert torch.equal(model.backbone.layer1[0].conv1.weight, wanted)
