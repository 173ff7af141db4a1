from __future__ import annotations

import pytest
import torch

from interlace.data import video
from interlace.data.decoded_clip import DecodedClip
from interlace.modality import MODALITIES


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_same_as_from_the_disk(tmp_path, moving_square, modality):
    folder = moving_square(tmp_path, num_frames=9)
    frames = video.open(folder).frames_at(range(9))
    with video.open(folder, modality=modality) as from_disk:
        expected = from_disk.frames_at([7, 0, 3])
    read = DecodedClip(frames).snippets(modality).frames_at([7, 0, 3])
    if modality == "flow":  # gray is made of pictures there, and of frames here: rounded differently
        assert (read.int() - expected.int()).abs().float().mean() < 0.2
    else:
        assert torch.equal(read, expected)


def test_frames_as_they_are():
    clip = torch.randint(0, 256, (4, 3, 5, 7), dtype=torch.uint8)
    with DecodedClip(clip) as reader:
        assert torch.equal(reader.frames_at([3, 0]), clip[[3, 0]])
        assert (reader.height, reader.width, reader.num_channels) == (5, 7, 3)
        assert reader.damaged_frames() == []
    gray = DecodedClip(clip[:, :1])
    assert (gray.num_channels, gray.snippets("rgb_diff").num_channels) == (1, 6)


def test_large_frames_are_reduced_where_motion_counts():
    clip = torch.zeros(2, 3, 300, 400, dtype=torch.uint8)
    assert DecodedClip(clip).frames_at([0]).shape[-2:] == (300, 400)
    assert DecodedClip(clip).snippets("rgb_diff").frames_at([0]).shape[-2:] == (256, 341)
