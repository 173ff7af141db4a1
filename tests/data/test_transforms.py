from __future__ import annotations

import json
import pickle

import pytest
import torch

from interlace.data.crops import MULTI_SCALE_STEPS, crop_positions, multi_scale_sizes
from interlace.data.transforms import (
    CenterCrop,
    HorizontalFlip,
    MultiScaleCrop,
    Preprocess,
    TrainTransform,
    train_transform,
)

SCALES = (1.0, 0.875, 0.75, 0.66)


def still(T=4, C=3, H=50, W=70):
    """A clip of T times the same random picture: what differs between its frames, the transform did."""
    picture = torch.randint(
        0, 256, (1, C, H, W), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return picture.repeat(T, 1, 1, 1)


@pytest.mark.reference
def test_multi_scale_crops_equal_the_released_ones(reference_dir):
    cases = json.loads((reference_dir / "multiscale_crops.json").read_text())
    assert len(cases) == 5
    for case in cases:
        frame_size = tuple(case["size"])
        sizes = multi_scale_sizes(frame_size, 224, SCALES)
        assert [list(size) for size in sizes] == case["pairs_w_h"]
        for size in sizes:
            positions = crop_positions(frame_size, size, MULTI_SCALE_STEPS)
            assert [list(position) for position in positions] == case["offsets"][f"{size[0]}x{size[1]}"]


@pytest.mark.parametrize(
    ("frame_size", "image_size", "expected"),
    [
        ((30, 20), 48, [(20, 20), (15, 20), (20, 15), (15, 15)]),  # a frame smaller than the crop
        ((70, 51), 50, [(50, 50), (38, 50), (50, 38), (38, 38)]),  # within 2 pixels: no resize
        ((48, 49), 50, [(48, 48), (36, 48), (48, 36), (36, 36)]),  # but never more than there is
        ((1, 1), 50, [(1, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_multi_scale_sizes(frame_size, image_size, expected):
    assert multi_scale_sizes(frame_size, image_size, (1.0, 0.75)) == expected


def test_multi_scale_crop_cuts_only_published_places():
    # Pixels tell their place: red is the column, green the row. At the size of the crop nothing is resized.
    x, y = torch.arange(60).expand(50, 60), torch.arange(50)[:, None].expand(50, 60)
    clip = torch.stack([x, y, torch.zeros_like(x)]).to(torch.uint8).repeat(2, 1, 1, 1)
    torch.manual_seed(0)
    places = set()
    for _ in range(300):
        out = MultiScaleCrop(32, scales=(0.64,))(clip)
        assert torch.equal(out[0], out[1])
        left, top = int(out[0, 0, 0, 0]), int(out[0, 1, 0, 0])
        assert torch.equal(out, clip[:, :, top : top + 32, left : left + 32])
        places.add((left, top))
    assert places == set(crop_positions((60, 50), (32, 32), MULTI_SCALE_STEPS))
    assert len(places) == 13


@pytest.mark.parametrize("size", [(50, 70), (70, 50), (9, 13), (1, 1)])
@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("crop", ["multi_scale", "resized", "center"])
def test_the_same_is_done_to_every_frame(crop, num_channels, size):
    clip = still(4, num_channels, *size)
    transform = train_transform(24, crop=crop, color_jitter=0.4, flip_map={})
    torch.manual_seed(1)
    for _ in range(5):
        out, labels = transform(clip, (5,))
        assert out.shape == (4, num_channels, 24, 24)
        assert labels == (5,)
        assert torch.equal(out, out[:1].expand_as(out))


def test_transform_is_decided_by_the_seed():
    transform = train_transform(24, color_jitter=0.4, flip_map={0: 1, 1: 0})
    outputs = []
    for seed in (3, 4, 3):
        torch.manual_seed(seed)
        outputs.append(transform(still(), (0,)))
    assert torch.equal(outputs[0][0], outputs[2][0])
    assert outputs[0][1] == outputs[2][1]
    assert not torch.equal(outputs[0][0], outputs[1][0])


def test_transform_does_not_depend_on_the_memory_format():
    transform = train_transform(24, color_jitter=0.4, flip_map={})
    outputs = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        outputs.append(transform(still().contiguous(memory_format=memory_format), (0,))[0])
    assert torch.equal(*outputs)
    assert outputs[1].is_contiguous(memory_format=torch.channels_last)


def test_transform_leaves_its_input_alone_and_can_be_sent_to_workers():
    clip = still()
    before = clip.clone()
    transform = pickle.loads(
        pickle.dumps(train_transform(24, crop="resized", color_jitter=0.4, flip_map={0: 1}))
    )
    torch.manual_seed(0)
    for _ in range(5):
        transform(clip, (0,))
    assert torch.equal(clip, before)


def test_resized_crop_covers_the_asked_area():
    clip = still(2, 3, 40, 40)
    whole = train_transform(40, crop="resized", crop_area=(1.0, 1.0))
    torch.manual_seed(
        0
    )  # a crop of the whole area exists only at aspect ratio 1; torchvision falls back to it
    assert torch.equal(whole(clip, ())[0], clip)


def test_center_crop_is_the_one_of_testing():
    clip = torch.zeros(2, 3, 128, 200, dtype=torch.uint8)  # 128 is the short side before a crop of 112
    clip[:, :, 8:120, 44:156] = 255
    assert CenterCrop(112)(clip).min() == 255


def test_flip_mirrors_clip_and_labels():
    clip = still()
    flipped, labels = HorizontalFlip({1: 4, 4: 1}, probability=1.0)(clip, (0, 1, 4))
    assert torch.equal(flipped, clip.flip(3))
    assert labels == (0, 4, 1)
    kept, labels = HorizontalFlip({1: 4, 4: 1}, probability=0.0)(clip, (0, 1, 4))
    assert torch.equal(kept, clip)
    assert labels == (0, 1, 4)


def test_half_of_the_clips_are_mirrored_and_the_labels_go_with_them():
    flip, clip = HorizontalFlip({0: 1, 1: 0}), torch.tensor([[[[1, 2]]]], dtype=torch.uint8)
    torch.manual_seed(0)
    count = 0
    for _ in range(400):
        out, labels = flip(clip, (0,))
        assert (out[0, 0, 0].tolist(), labels) in [([1, 2], (0,)), ([2, 1], (1,))]
        count += labels == (1,)
    assert 170 < count < 230  # 200 +- 3 standard deviations


def test_without_a_flip_map_nothing_is_mirrored():
    transform = train_transform(50, crop="center")
    assert transform.flip is None
    assert transform.color is None


def test_parts_are_applied_in_order():
    transform = TrainTransform(
        crop=lambda clip: clip[..., :5, :5],
        color=lambda clip: clip + 1,
        flip=HorizontalFlip({0: 2}, probability=1.0),
    )
    out, labels = transform(torch.arange(35, dtype=torch.uint8).view(1, 1, 5, 7), (0,))
    assert out[0, 0, 0].tolist() == [5, 4, 3, 2, 1]
    assert labels == (2,)


def test_unknown_crop_is_named():
    with pytest.raises(ValueError, match="unknown crop 'middle'; the names are multi_scale, resized, center"):
        # __wrapped__: past the type check of the tests
        train_transform.__wrapped__(24, crop="middle")


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_preprocess_values():
    clip = torch.randint(0, 256, (2, 4, 3, 5, 7), dtype=torch.uint8)
    mean, std = (torch.tensor(value, dtype=torch.float64).view(3, 1, 1) for value in (MEAN, STD))
    expected = ((clip.double() / 255 - mean) / std).float()
    out = Preprocess(MEAN, STD)(clip)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected, atol=2e-6, rtol=0)
    frames = Preprocess(MEAN, STD)(clip[0])
    torch.testing.assert_close(frames, expected[0], atol=2e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_preprocess_rounds_once(dtype):
    clip = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2, 3, 1, 1)
    expected = Preprocess(MEAN, STD)(clip).to(dtype)
    assert torch.equal(Preprocess(MEAN, STD, dtype=dtype)(clip), expected)


def test_preprocess_grey_and_memory_format_and_state():
    preprocess = Preprocess((0.5,), (0.25,))
    assert preprocess(torch.zeros(1, 1, 5, 7, dtype=torch.uint8)).unique().tolist() == [-2.0]
    assert preprocess.state_dict() == {}
    clip = torch.zeros(2, 4, 5, 7, 3, dtype=torch.uint8).permute(0, 1, 4, 2, 3)
    assert Preprocess(MEAN, STD)(clip).stride() == clip.stride()


def test_preprocess_names_both_channel_counts():
    with pytest.raises(ValueError, match="pixels have 1 channels and the mean has 3 values"):
        Preprocess(MEAN, STD)(torch.zeros(4, 1, 5, 7, dtype=torch.uint8))
    with pytest.raises(ValueError, match="mean has 3 values and std has 1"):
        Preprocess(MEAN, (0.5,))


@pytest.mark.parametrize(("modality", "channels"), [("flow", 10), ("rgb_flow", 13), ("rgb_diff", 18)])
def test_training_mirrors_by_modality(modality, channels):
    clip = still(C=channels)
    transform = train_transform(32, crop="center", flip_map={}, modality=modality)
    plain = train_transform(32, crop="center", modality=modality)(clip, (0,))[0]
    turned = {"flow": range(0, 10, 2), "rgb_flow": range(3, 13, 2), "rgb_diff": ()}[modality]
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        out = transform(clip, (0,))[0]
        is_mirrored = not torch.equal(out, plain)
        seen.add(is_mirrored)
        for channel in range(channels if is_mirrored else 0):
            expected = plain[:, channel].flip(-1)
            assert torch.equal(out[:, channel], 255 - expected if channel in turned else expected)
    assert seen == {True, False}


def test_scales_by_modality():
    assert train_transform(32).crop.scales == SCALES
    assert train_transform(32, modality="flow").crop.scales == SCALES[:3]
    assert train_transform(32, modality="flow", crop_scales=(0.5,)).crop.scales == (0.5,)


def test_color_jitter_changes_colors_only():
    jitter = train_transform(32, crop="center", color_jitter=0.9, modality="rgb_flow")
    plain = train_transform(32, crop="center", modality="rgb_flow")
    clip = still(C=13)
    out, expected = jitter(clip, (0,))[0], plain(clip, (0,))[0]
    assert torch.equal(out[:, 3:], expected[:, 3:])
    assert not torch.equal(out[:, :3], expected[:, :3])
    assert torch.equal(out, out[:1].expand_as(out))
    with pytest.raises(ValueError, match=r"color_jitter=0.5 changes colors, and flow has none; set it to 0"):
        train_transform(32, color_jitter=0.5, modality="flow")


@pytest.mark.parametrize("colors", [1, 3])
def test_the_frames_of_a_snippet_are_jittered_alike(colors):
    """Where nothing moves, the differences stay zero."""
    frame = still(C=colors)
    snippets = frame.repeat(1, 6, 1, 1)
    transform = train_transform(
        32, crop="center", color_jitter=0.9, modality="rgb_diff", color_channels=colors
    )
    out = transform(snippets, (0,))[0]
    assert torch.equal(out[:, colors:], out[:, :-colors])
    assert not torch.equal(out, train_transform(32, crop="center")(snippets, (0,))[0])
