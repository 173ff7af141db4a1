from __future__ import annotations

import pytest
import torch

from interlace.data import video
from interlace.data.flow import NO_MOTION, to_pixels
from interlace.data.snippets import SNIPPET_SHORT_SIDE
from interlace.modality import channels_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory, moving_square):
    return moving_square(tmp_path_factory.mktemp("square") / "clip", num_frames=9, step=(3, 0))


def read(folder, indices, **arguments):
    with video.open(folder, **arguments) as reader:
        return reader.frames_at(indices)


def test_flow_is_five_fields_x_and_y_in_turn(folder):
    fields = video.open_pictures(folder, modality="flow").frames_at(range(9))
    clip = read(folder, [1, 6], modality="flow")
    assert clip.shape == (2, 10, 72, 96)
    assert torch.equal(clip[0], fields[1:6].flatten(0, 1))
    assert torch.equal(clip[1], torch.cat([fields[6:], fields[8:], fields[8:]]).flatten(0, 1))
    assert (clip[1, 4:] == NO_MOTION).all()  # past the end nothing moves
    middle = clip[0, :, 26:46, 45:55].flatten(1).median(1).values.int()
    assert middle[0::2].sub(147).abs().max() <= 3  # 3 pixels: 146.6
    assert middle[1::2].sub(128).abs().max() <= 2


def test_differences_are_six_frames(folder):
    frames = read(folder, range(9))
    clip = read(folder, [2, 5, 8], modality="rgb_diff")
    assert clip.shape == (3, 18, 72, 96)
    assert torch.equal(clip[0], frames[2:8].flatten(0, 1))
    assert torch.equal(clip[1], frames[[5, 6, 7, 8, 8, 8]].flatten(0, 1))
    assert torch.equal(clip[2], frames[8].repeat(6, 1, 1))


def test_both_are_the_frame_and_its_flow(folder):
    clip = read(folder, [1, 7], modality="rgb_flow")
    assert torch.equal(clip[:, :3], read(folder, [1, 7]))
    assert torch.equal(clip[:, 3:], read(folder, [1, 7], modality="flow"))


@pytest.mark.parametrize(("modality", "channels"), [("flow", 10), ("rgb_diff", 6), ("rgb_flow", 11)])
def test_gray_videos_have_one_color(folder, modality, channels):
    clip = read(folder, [3], modality=modality, color="gray")
    assert clip.shape[1] == channels == channels_of(modality, 1)
    if modality != "flow":
        assert torch.equal(clip[:, :1], read(folder, [3], color="gray"))


@pytest.mark.parametrize("modality", ["flow", "rgb_diff", "rgb_flow"])
def test_one_frame_does_not_move(tmp_path, moving_square, modality):
    folder = moving_square(tmp_path, num_frames=1)
    clip = read(folder, [0, 0], modality=modality)
    frame = read(folder, [0])[0]
    if modality == "rgb_diff":
        assert torch.equal(clip[0], frame.repeat(6, 1, 1))
    else:
        assert (clip[:, -10:] == NO_MOTION).all()
    assert clip.shape == (2, channels_of(modality), 72, 96)


@pytest.mark.parametrize("modality", ["flow", "rgb_diff", "rgb_flow"])
def test_larger_frames_are_reduced_first(tmp_path, make_video, modality):
    path = make_video(tmp_path / "large.mp4", num_frames=3, size=(300, 400))
    clip = read(path, [0], modality=modality)
    assert clip.shape[-2:] == (SNIPPET_SHORT_SIDE, 341)
    small = read(path, [0], modality=modality, short_side=64)
    assert small.shape[-2:] == (64, 85)
    with video.open(path, modality=modality, short_side=64) as reader:
        assert (reader.height, reader.width) == (300, 400)
        assert reader.frames_at([]).shape == (0, channels_of(modality), 64, 85)


def test_the_memory_format_is_that_of_decoded_frames(folder):
    for modality in ("rgb", "flow", "rgb_diff", "rgb_flow"):
        clip = read(folder, [3, 1], modality=modality)
        assert clip.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.real_data
def test_real_swipes_move_to_the_side_that_they_are_named_for(data_dir):
    """In the pictures of this camera; sums over the pixels that move, up to the furthest point of the arm."""
    sums = {}
    for name, prefix in (("a01_swipe_left", "a1"), ("a02_swipe_right", "a2")):
        path = data_dir / "utd_mhad_depth" / name / f"{prefix}_s1_t1.mp4"
        with video.open_pictures(path, modality="flow") as reader:
            flow = to_pixels(reader.frames_at(range(reader.num_frames - 1)).numpy())
        moving = abs(flow).max(1) > 1
        along_x = [float(flow[i, 0][moving[i]].sum()) for i in range(len(flow))]
        carried = torch.tensor(along_x).cumsum(0)
        sums[name] = float(carried[carried.abs().argmax()])
    assert sums["a01_swipe_left"] < -5000 < 5000 < sums["a02_swipe_right"]
