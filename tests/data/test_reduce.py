from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from interlace.data import video
from interlace.data.reduce import reduce, reduced_size


@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (1080, 1920, 256, (256, 455)),
        (1920, 1080, 256, (455, 256)),
        (241, 319, 100, (100, 132)),
        (240, 320, 240, (240, 320)),
        (240, 320, 300, (240, 320)),  # never larger
        (240, 320, None, (240, 320)),
    ],
)
def test_sizes(height: int, width: int, short_side: int | None, expected: tuple[int, int]) -> None:
    assert reduced_size(height, width, short_side) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(51, 77), (77, 51)])
def test_the_pixels_of_torchvision(channels: int, height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    expected = functional.resize(torch.from_numpy(picture).permute(2, 0, 1)[None], [20], antialias=True)[0]
    assert torch.equal(torch.from_numpy(reduce(picture, 20)).permute(2, 0, 1), expected)


def test_videos_and_folders(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=5, size=(48, 64))
    (tmp_path / "frames").mkdir()
    for i in range(3):
        Image.new("RGB", (40, 50), (20 * i, 0, 0)).save(tmp_path / "frames" / f"{i}.png")
    with video.open(path) as full, video.open(path, short_side=30) as reader:
        clip = reader.frames_at([4, 1])
        assert torch.equal(clip, functional.resize(full.frames_at([4, 1]), [30], antialias=True))
        assert clip.is_contiguous(memory_format=torch.channels_last)
        assert (clip.shape[2:], reader.height, reader.width) == ((30, 40), 48, 64)
        assert reader.frames_at([]).shape == (0, 3, 30, 40)
    with video.open(tmp_path / "frames", short_side=20) as reader:
        assert reader.frames_at([2]).shape == (1, 3, 25, 20)


def test_no_pixel(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="short_side=0 leaves no pixel"):
        video.open(make_video(tmp_path / "a.mp4", num_frames=2), short_side=0)
