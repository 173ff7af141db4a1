from __future__ import annotations

import json

import pytest
import timm
import torch
from torch.nn import functional

from interlace.audiovisual.features.visual_features import create_visual_extractor
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data import video
from interlace.models import create_model
from interlace.models.plain import WeightsError

N, T, S = 2, 3, 32


def seconds_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


@torch.no_grad()
def test_features_are_the_mean_over_the_frames_of_a_second():
    extractor = create_visual_extractor(
        "resnet10t",
        frames_per_second=T,
        image_size=S,
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        zero_init_last=False,
    )
    seconds = seconds_of(N, T, 3, S, S)
    rows = extractor(seconds)
    assert rows.shape == (N, 1, 512)
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    for second, row in zip(seconds, rows, strict=True):
        of_frames = torch.cat([extractor.backbone(((frame / 255 - mean) / std)[None]) for frame in second])
        torch.testing.assert_close(row[0], of_frames.mean(0), rtol=1e-4, atol=1e-4)
    reversed_rows = extractor(seconds.flip(1))
    torch.testing.assert_close(reversed_rows, rows)


@torch.no_grad()
def test_a_map_has_a_row_for_each_place():
    whole = create_visual_extractor("resnet10t", frames_per_second=T, image_size=96)
    places = create_visual_extractor("resnet10t", frames_per_second=T, image_size=96, map=True)
    places.load_state_dict(whole.state_dict())
    seconds = seconds_of(N, T, 3, 96, 96)
    rows = places(seconds)
    assert rows.shape == (N, 9, 512)
    torch.testing.assert_close(rows.mean(1, keepdim=True), whole(seconds))
    seconds[:, :, :, :32, 64:] = 0  # changes the corner at the top right most of all
    change = (places(seconds) - rows).abs().mean((0, 2))
    assert change.argmax() == 2


@torch.no_grad()
def test_vgg19_is_its_last_pooling_layer():
    few = 0.01  # of the features of the layers that are left out, most of its weights
    extractor = create_visual_extractor("vgg19", frames_per_second=1, image_size=64, mlp_ratio=few)
    assert extractor.map
    assert not [name for name in extractor.state_dict() if not name.startswith("backbone.features.")]
    seconds = seconds_of(1, 1, 3, 64, 64)
    x = extractor.preprocess(seconds[0])
    layers = list(extractor.backbone.features)
    assert len(layers) == 16 * 2 + 5  # 16 convolutions, each with a ReLU, and 5 poolings
    assert isinstance(layers[-1], torch.nn.MaxPool2d)
    for layer in layers:
        x = layer(x)
    torch.testing.assert_close(extractor(seconds)[0], x[0].flatten(1).T)
    assert extractor(seconds).shape == (1, 4, 512)  # 49 places at 224
    config = timm.get_pretrained_cfg("vgg19.tv_in1k")
    assert (extractor.spec["mean"], extractor.spec["std"]) == ([*config.mean], [*config.std])
    assert create_visual_extractor("resnet10t").spec["frames_per_second"] == 16


@torch.no_grad()
@pytest.mark.parametrize("map", [False, True])
def test_a_network_that_mixes_frames_sees_those_of_a_second_together(map):
    extractor = create_visual_extractor(
        "tsm_resnet10t", frames_per_second=4, image_size=64, map=map, zero_init_last=False
    )
    seconds = seconds_of(N, 4, 3, 64, 64)
    rows = extractor(seconds)
    assert rows.shape == (N, 4 if map else 1, 512)
    torch.testing.assert_close(torch.cat([extractor(second[None]) for second in seconds]), rows)
    assert (extractor(seconds.flip(1)) - rows).abs().mean() > 0.01 * rows.abs().mean()
    if not map:
        clip = extractor.preprocess(seconds[0])
        torch.testing.assert_close(rows[0, 0], extractor.backbone(clip).mean(0))


@torch.no_grad()
@pytest.mark.parametrize("name", ["tsm_tpool_resnet18", "eco_lite_resnet18", "i3d_light_resnet18"])
def test_networks_that_put_frames_together(name):
    extractor = create_visual_extractor(name, frames_per_second=8, image_size=S)
    seconds = seconds_of(N, 8, 3, S, S)
    rows = extractor(seconds)
    assert rows.shape == (N, 1, 512)
    clip = extractor.preprocess(seconds[1])
    torch.testing.assert_close(rows[1, 0], extractor.backbone(clip).mean(0), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet10t", {"map": True, "crop": "whole", "image_size": S}),
        ("tin_resnet18", {"frames_per_second": 4, "image_size": S, "num_groups": 2}),
        ("mobilenetv2_050", {"color": "gray", "pad_type": "same", "image_size": S, "frames_per_second": 2}),
        ("bninception", {"map": True, "image_size": S, "frames_per_second": 2}),
    ],
)
def test_specification_and_weights_are_all_it_takes(name, arguments):
    extractor = create_visual_extractor(name, **arguments)
    spec = json.loads(json.dumps(extractor.spec))
    again = create_visual_extractor(**spec)
    assert again.spec == extractor.spec == spec
    again.load_state_dict(extractor.state_dict())
    assert not again.training
    channels = 1 if arguments.get("color") == "gray" else 3
    seconds = seconds_of(1, extractor.frames_per_second, channels, S, S)
    assert torch.equal(again(seconds), extractor(seconds))


def test_a_checkpoint_brings_all_it_takes(tmp_path):
    model = create_model(
        "tsn_resnet10t", num_classes=2, num_segments=T, in_chans=1, mean=(0.3,), std=(0.2,)
    ).eval()
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("left", "right"),
        sampling={"name": "segment", "num_segments": T},
        preprocessing={"image_size": 64, "mean": [0.3], "std": [0.2], "color": "gray"},
    )
    path = save_checkpoint(tmp_path / "best.safetensors", model, card)
    extractor = create_visual_extractor(path)
    assert (extractor.frames_per_second, extractor.image_size, extractor.color) == (T, 64, "gray")
    seconds = seconds_of(N, T, 1, 64, 64)
    with torch.no_grad():
        clips = (seconds / 255 - 0.3) / 0.2
        torch.testing.assert_close(
            extractor(seconds)[:, 0], model.forward_features(clips).mean(1), rtol=1e-4, atol=1e-4
        )
    assert create_visual_extractor(**extractor.spec).spec == extractor.spec
    assert create_visual_extractor(path, frames_per_second=5, image_size=32).spec["frames_per_second"] == 5
    with pytest.raises(ValueError, match="a checkpoint and brings its own weights"):
        create_visual_extractor(path, pretrained=True)


def test_frames_are_prepared_as_networks_are_tested():
    frames = seconds_of(T, 3, 60, 80)
    middle = create_visual_extractor("resnet10t", image_size=28)
    expected = functional.interpolate(frames.float(), (32, 42), mode="bilinear", antialias=True)[
        ..., 2:30, 7:35
    ]
    assert (middle.prepare(frames) - expected).abs().max() <= 1
    whole = create_visual_extractor("resnet10t", image_size=28, crop="whole")
    expected = functional.interpolate(frames.float(), (28, 28), mode="bilinear", antialias=True)
    assert (whole.prepare(frames) - expected).abs().max() <= 1


def test_reading_smaller_frames_changes_no_pixel(make_video, tmp_path):
    path = make_video(tmp_path / "clip.mp4", num_frames=5, size=(96, 128))
    middle = create_visual_extractor("resnet10t", image_size=S)
    assert middle.short_side == 37
    assert create_visual_extractor("resnet10t", image_size=S, crop="whole").short_side is None
    with video.open(path) as full, video.open(path, short_side=middle.short_side) as small:
        assert torch.equal(middle.prepare(full.frames_at([0, 4])), middle.prepare(small.frames_at([0, 4])))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet1", {}, "there is no network 'resnet1'"),
        ("two_stream_tsn_resnet18", {}, "made of several networks"),
        (
            "tsn_resnet10t",
            {"modality": "rgb_diff"},
            "sees rgb_diff; take a network that sees the frames themselves",
        ),
        ("missing.safetensors", {}, "missing.safetensors: there is no such file"),
        ("runs/missing", {}, "runs/missing: there is no such file"),
        ("resnet10t", {"frames_per_second": 0}, "frames_per_second=0 must be at least 1"),
        ("resnet10t", {"image_size": -1}, "image_size=-1 must be at least 1"),
        ("resnet10t", {"glitter": 1}, "cannot build 'resnet10t' with"),
        ("resnet10t", {"pretrained": "missing.pth"}, "missing.pth: there is no such file of weights"),
    ],
)
def test_what_cannot_be_built(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        create_visual_extractor(name, **arguments)


def test_weights_of_another_network(tmp_path):
    path = tmp_path / "resnet.pth"
    torch.save(timm.create_model("resnet10t").state_dict(), path)
    extractor = create_visual_extractor("resnet10t", pretrained=path)
    wanted = torch.load(path)["conv1.0.weight"]
    assert torch.equal(extractor.state_dict()["backbone.conv1.0.weight"], wanted)
    with pytest.raises(WeightsError, match="not weights of tsn_mobilenetv2_050"):
        create_visual_extractor("mobilenetv2_050", pretrained=path)


def test_no_map_is_an_error():
    extractor = create_visual_extractor("i3d_light_resnet18", frames_per_second=8, image_size=S, map=True)
    with pytest.raises(ValueError, match=r"i3d_light_resnet18 makes features .* which are no map"):
        extractor(seconds_of(1, 8, 3, S, S))


def test_other_frames_are_an_error():
    extractor = create_visual_extractor("resnet10t", frames_per_second=T, image_size=S)
    with pytest.raises(ValueError, match=r"the shape \(3, 3, 48, 48\), this network takes \(3, 3, 32, 32\)"):
        extractor(seconds_of(N, T, 3, 48, 48))


@pytest.mark.real_data
def test_real_weights(weights_dir):
    """The same features as timm gives with the same file."""
    path = weights_dir / "mobilenetv2_100_in1k.fp16.safetensors"
    arguments = {"pad_type": "same", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    extractor = create_visual_extractor(
        "mobilenetv2_100", pretrained=path, frames_per_second=2, image_size=64, map=True, **arguments
    )
    network = timm.create_model("mobilenetv2_100", pad_type="same", checkpoint_path=str(path)).eval()
    seconds = seconds_of(N, 2, 3, 64, 64)
    with torch.no_grad():
        maps = network.forward_features((seconds.flatten(0, 1) / 255 - 0.5) / 0.5)
        wanted = maps.unflatten(0, (N, 2)).mean(1).flatten(2).transpose(1, 2)
        torch.testing.assert_close(extractor(seconds), wanted, rtol=1e-4, atol=1e-4)
