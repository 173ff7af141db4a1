from __future__ import annotations

import pytest
import torch

from interlace.data import video
from interlace.data.flow import to_pixels
from interlace.data.mirror import mirror_colors, mirror_flow, mirror_of

X_OF = {"rgb": [], "rgb_diff": [], "flow": [0, 2, 4, 6, 8], "rgb_flow": [3, 5, 7, 9, 11]}


@pytest.mark.parametrize(
    ("modality", "channels"), [("rgb", 3), ("flow", 10), ("rgb_diff", 18), ("rgb_flow", 13)]
)
@pytest.mark.parametrize("views", [(), (5,)])
def test_motion_along_x_is_turned_round(modality, channels, views):
    clip = torch.randint(0, 256, (*views, 4, channels, 5, 7), dtype=torch.uint8)
    kept = clip.clone()
    mirrored = mirror_of(modality)(clip)
    assert torch.equal(clip, kept)
    for channel in range(channels):
        plain = clip[..., channel, :, :].flip(-1)
        expected = 255 - plain if channel in X_OF[modality] else plain
        assert torch.equal(mirrored[..., channel, :, :], expected), channel
    assert torch.equal(mirror_of(modality)(mirrored), clip)


def test_gray_and_flow():
    clip = torch.randint(0, 256, (4, 11, 5, 7), dtype=torch.uint8)
    mirrored = mirror_flow(clip)
    assert torch.equal(mirrored[:, 0], clip[:, 0].flip(-1))
    assert torch.equal(mirrored[:, 1::2], 255 - clip[:, 1::2].flip(-1))


def test_the_mirror_of_a_video_has_the_mirrored_flow(tmp_path, moving_square):
    """What a mirror does to flow is what the flow of mirrored frames is."""
    folder = moving_square(tmp_path / "clip", num_frames=7, step=(3, 1))
    from interlace.data.decoded_clip import DecodedClip

    frames = video.open(folder).frames_at(range(7))
    flow = DecodedClip(frames).snippets("flow").frames_at([0])
    of_mirrored = DecodedClip(mirror_colors(frames)).snippets("flow").frames_at([0])
    expected = mirror_flow(flow)
    difference = to_pixels(of_mirrored.numpy()) - to_pixels(expected.numpy())
    assert abs(difference[..., 20:56, 16:80]).mean() < 0.15
    square = to_pixels(expected.numpy())[0, :, 30:48, 40:52].reshape(10, -1)
    assert abs(square[0::2].mean() + 3) < 0.5  # it moves left now
    assert abs(square[1::2].mean() - 1) < 0.5
