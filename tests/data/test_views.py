from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from interlace.data.mirror import mirror_of
from interlace.data.views import NUM_CROPS, resize_short_side, resized_short_side, spatial_views


def place_clip(H, W, T=2):
    """A clip in which red is the column and green the row of a pixel."""
    x, y = torch.arange(W).expand(H, W), torch.arange(H)[:, None].expand(H, W)
    return torch.stack([x, y, torch.zeros_like(x)]).to(torch.uint8).repeat(T, 1, 1, 1)


def places(views):
    return [(int(view[0, 0, 0, 0]), int(view[0, 1, 0, 0])) for view in views]


# The short side is 64 = 56 * 256 / 224, so that nothing is resized and a pixel's value is its place.
@pytest.mark.parametrize(
    ("size", "crops", "expected"),
    [
        ((64, 90), "center", [(17, 4)]),
        ((64, 90), "three", [(0, 4), (32, 4), (16, 4)]),  # 90 - 56 = 34: steps of 8, the right one ends at 88
        ((90, 64), "three", [(4, 0), (4, 32), (4, 16)]),  # upright: along the height
        ((64, 64), "three", [(0, 4), (8, 4), (4, 4)]),
        ((64, 90), "full", [(0, 0), (24, 0), (12, 0)]),
        ((90, 64), "full", [(0, 0), (0, 24), (0, 12)]),
        ((64, 64), "full", [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_views_are_cut_at_the_published_places(size, crops, expected):
    clip = place_clip(*size)
    views = spatial_views(clip, crops, 56)
    side = 64 if crops == "full" else 56
    assert views.shape == (NUM_CROPS[crops], 2, 3, side, side)
    assert places(views) == expected
    for view, (left, top) in zip(views, expected, strict=True):
        assert torch.equal(view, clip[:, :, top : top + side, left : left + side])


def test_ten_views_are_five_and_their_mirrors():
    views = spatial_views(place_clip(64, 90), "ten", 56)
    assert places(views[:5]) == [(0, 0), (32, 0), (0, 8), (32, 8), (16, 4)]
    assert torch.equal(views[5:], views[:5].flip(4))
    assert views.shape == (10, 2, 3, 56, 56)


@pytest.mark.parametrize(
    ("image_size", "short_side"), [(224, 256), (112, 128), (96, 110), (64, 73), (256, 293), (3, 3)]
)
def test_resized_short_side(image_size, short_side):
    assert resized_short_side(image_size) == short_side
    assert short_side >= image_size


@pytest.mark.parametrize("crops", ["center", "three", "ten", "full"])
@pytest.mark.parametrize("size", [(1, 1), (20, 31), (200, 131)])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_any_size_gives_the_asked_one(crops, size, num_channels):
    clip = torch.full((4, num_channels, *size), 77, dtype=torch.uint8)
    views = spatial_views(clip, crops, 24)
    side = 27 if crops == "full" else 24
    assert views.shape == (NUM_CROPS[crops], 4, num_channels, side, side)
    assert views.min() == views.max() == 77


@pytest.mark.parametrize("size", [(60, 83), (83, 60), (20, 30)])
def test_resize_is_that_of_pillow(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    clip = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    out = resize_short_side(clip, 32)
    assert min(out.shape[-2:]) == 32
    expected = Image.fromarray(pixels).resize((out.shape[-1], out.shape[-2]), Image.Resampling.BILINEAR)
    difference = out[0].permute(1, 2, 0).int() - torch.from_numpy(np.array(expected)).int()
    assert difference.abs().max() <= 1


def test_unknown_crops_are_named():
    with pytest.raises(ValueError, match="unknown crops 'five'; the names are center, three, ten, full"):
        # __wrapped__: past the type check of the tests
        spatial_views.__wrapped__(place_clip(64, 90), "five", 56)


def test_ten_views_of_flow_are_mirrored_as_motion():
    clip = torch.randint(0, 256, (2, 10, 64, 90), dtype=torch.uint8)
    views = spatial_views(clip, "ten", 56, mirror=mirror_of("flow"))
    assert torch.equal(views[5:, :, 1::2], views[:5, :, 1::2].flip(-1))
    assert torch.equal(views[5:, :, 0::2], 255 - views[:5, :, 0::2].flip(-1))
