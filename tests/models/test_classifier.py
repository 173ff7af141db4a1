from __future__ import annotations

import inspect

import pytest
import torch

from interlace.models import VideoClassifier, create_model


def make() -> VideoClassifier:
    model = create_model("tsn_resnet18", num_classes=5, num_segments=4).eval()
    torch.nn.init.normal_(model.head.weight)
    return model


def test_logits_are_the_mean_over_frames():
    model, clip = make(), torch.randn(2, 4, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_features(clip)
        each = torch.stack([model.head(model.backbone(clip[b])) for b in range(2)])
        assert features.shape == (2, 4, 512)
        torch.testing.assert_close(model.forward_head(features), each.mean(1))
        torch.testing.assert_close(model(clip), each.mean(1))


def test_clips_of_a_batch_do_not_mix():
    model, clip = make(), torch.randn(3, 4, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(clip)[1:2], model(clip[1:2]))


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match="1 channels, the network in_chans=3"):
        make()(torch.zeros(2, 4, 1, 64, 64))


def test_what_others_read():
    model = make()
    assert (model.num_classes, model.num_segments, model.in_chans) == (5, 4, 3)
    assert model.builder == "tsn_resnet18"
    assert inspect.signature(create_model).parameters["dropout"].default == 0.5


@pytest.mark.parametrize("name", ["tsn_resnet18", "tsm_en_resnet18"])
@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (
            torch.zeros(6, 3, 32, 32),
            r"clips are \(B, T, C, H, W\), .*; got \(6, 3, 32, 32\) of torch.float32",
        ),
        (torch.zeros(1, 6, 3, 32, 32, dtype=torch.uint8), "normalised floating point .* of torch.uint8"),
        (torch.zeros(0, 6, 3, 32, 32), "the batch holds no clip"),
    ],
)
def test_what_is_no_clip(name, clip, message):
    with torch.device("meta"):
        model = create_model(name, num_classes=5, num_segments=6)
    # The shapes in signatures are checked under pytest only; without that check the network says it itself.
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(type(model).check_clip)(model, clip)
