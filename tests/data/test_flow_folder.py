from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interlace.data import video
from interlace.data.flow import NO_MOTION
from interlace.data.flow_folder import ABOUT, FlowFolder, holds_flow, stored_flow, stored_method
from interlace.data.reader import VideoError


def write(folder: Path, num_fields: int = 6, name: str = "flow_{}_{:05d}.png", size=(20, 30)) -> Path:
    """Field i has 10 i along x and 10 i + 5 along y."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, num_fields + 1):
        for k, axis in enumerate("xy"):
            Image.new("L", (size[1], size[0]), 10 * i + 5 * k).save(folder / name.format(axis, i))
    return folder


def pictures(folder: Path, number: int, size=(20, 30), name="img_{:05d}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, number + 1):
        Image.new("RGB", (size[1], size[0]), (i, 2 * i, 3 * i)).save(folder / name.format(i))
    return folder


def levels(clip: torch.Tensor) -> list[list[int]]:
    return clip[:, :, 3, 4].tolist()


@pytest.mark.parametrize("name", ["flow_{}_{:05d}.png", "flow_{}_{:04d}.png", "flow_{}_{}.png"])
def test_fields_by_number(tmp_path, name):
    reader = FlowFolder(write(tmp_path, 11, name))
    assert (reader.num_frames, reader.height, reader.width, reader.num_channels) == (12, 20, 30, 2)
    fields = reader.frames_at([10, 0, 11, 9])
    assert fields.shape == (4, 2, 20, 30)
    assert levels(fields) == [[110, 115], [10, 15], [NO_MOTION, NO_MOTION], [100, 105]]
    assert reader.notes == ["flow without timestamps: taken as 25 a second"]


def test_a_folder_of_flow_is_a_video_of_flow(tmp_path):
    with video.open(write(tmp_path / "a.mp4"), modality="flow") as reader:
        clip = reader.frames_at([1, 4])
    assert levels(clip) == [[20, 25, 30, 35, 40, 45, 50, 55, 60, 65], [50, 55, 60, 65, *[NO_MOTION] * 6]]
    assert video.find_videos(tmp_path) == [tmp_path / "a.mp4"]
    with pytest.raises(VideoError, match="optical flow only"):
        video.open(tmp_path / "a.mp4", modality="rgb_flow")


def test_frames_and_flow_side_by_side(tmp_path):
    """The published layout: img_*, flow_x_* and flow_y_* in one folder."""
    folder = pictures(write(tmp_path, 6), 7)
    with video.open(folder) as reader:
        assert (reader.num_frames, levels(reader.frames_at([6]))) == (7, [[7, 14, 21]])
    with video.open(folder, modality="rgb_flow") as reader:
        assert (reader.num_frames, reader.num_channels) == (7, 13)
        expected = [3, 6, 9, 30, 35, 40, 45, 50, 55, 60, 65, NO_MOTION, NO_MOTION]
        assert levels(reader.frames_at([2])) == [expected]
    with video.open(folder, modality="flow") as reader:
        assert levels(reader.frames_at([2])) == [expected[3:]]


def test_as_many_fields_as_frames(tmp_path):
    """Some tools repeat the last one."""
    with video.open(pictures(write(tmp_path, 6), 6), modality="rgb_flow") as reader:
        assert reader.num_frames == 6
        assert levels(reader.frames_at([5])) == [[6, 12, 18, *[60, 65] * 5]]


def test_flow_of_another_size_is_resized_to_the_frames(tmp_path):
    folder = pictures(write(tmp_path, 6, size=(10, 15)), 7, size=(20, 30))
    with video.open(folder, modality="rgb_flow") as reader:
        clip = reader.frames_at([0])
    assert clip.shape == (1, 13, 20, 30)
    assert levels(clip)[0][:5] == [1, 2, 3, 10, 15]


def test_flow_that_is_not_of_these_frames(tmp_path):
    write(tmp_path / "flow" / "clip", 6)
    frames = pictures(tmp_path / "clips" / "clip", 9)
    with pytest.raises(VideoError, match=r"6 fields of flow do not belong to the 9 frames of .*clips"):
        video.open(frames, modality="flow", flow=tmp_path / "flow")


def test_where_stored_flow_is(tmp_path):
    store = tmp_path / "flow"
    write(store / "a" / "b" / "clip.mp4")
    write(store / "clip.mp4")
    assert stored_flow(store, tmp_path / "x" / "a" / "b" / "clip.mp4") == store / "a" / "b" / "clip.mp4"
    assert stored_flow(store, Path("clip.mp4")) == store / "clip.mp4"
    with pytest.raises(VideoError, match=r"other.mp4: its flow is not in .*`interlace flow DIR --output"):
        stored_flow(store, tmp_path / "a" / "other.mp4")


def test_flow_of_a_file_that_has_changed(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", num_frames=7)
    place = write(tmp_path / "flow" / "a.mp4", 6)
    about = {"method": "tvl1", "source": {"bytes": path.stat().st_size}}
    (place / ABOUT).write_text(json.dumps(about))
    assert stored_flow(tmp_path / "flow", path) == place
    assert stored_method(place) == "tvl1"
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(VideoError, match="the flow of another file than"):
        video.open(path, modality="flow", flow=tmp_path / "flow")
    (place / ABOUT).write_text("{")
    with pytest.raises(VideoError, match=r"flow.json: damaged"):
        stored_flow(tmp_path / "flow", path)


def test_timestamps_are_those_of_the_video(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", num_frames=7, fps=10.0)
    write(tmp_path / "flow" / "a.mp4", 6)
    with video.open(path, modality="flow", flow=tmp_path / "flow") as reader:
        assert reader.pts_seconds.tolist() == pytest.approx([0.1 * i for i in range(7)])
        assert (reader.height, reader.width, reader.notes) == (48, 64, [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["flow_x_1.png"], "0 series of pictures flow_y_"),
        (["flow_x_1.png", "flow_y_1.png", "flow_y_2.png"], "1 pictures of flow along x and 2 along y"),
        (["flow_x_1.png", "flow_x_1.jpg", "flow_y_1.png"], "2 series of pictures flow_x_"),
        (["flow_x_1.png", "flow_x_3.png", "flow_y_1.png"], "flow_x_2.png is missing"),
    ],
)
def test_incomplete_flow(tmp_path, names, message):
    for name in names:
        Image.new("L", (30, 20)).save(tmp_path / name)
    with pytest.raises(VideoError, match=message):
        video.open(tmp_path, modality="flow")


def test_a_damaged_picture(tmp_path):
    folder = write(tmp_path)
    (folder / "flow_y_00003.png").write_bytes(b"no picture")
    with (
        video.open(folder, modality="flow") as reader,
        pytest.raises(VideoError, match=r"frame 2 of 6 cannot be decoded \(flow_y_00003.png"),
    ):
        reader.frames_at([1])
    with video.open(folder, modality="flow", on_error="skip") as reader:
        assert levels(reader.frames_at([1]))[0][:4] == [20, 25, 30, 25]  # its neighbour along y alone
        assert reader.is_damaged
        assert "1 of 6 frames damaged (2)" in reader.damage
        assert reader.damaged_frames() == [2]


def test_holds_flow(tmp_path):
    assert not holds_flow(tmp_path)
    assert not holds_flow(tmp_path / "missing")
    assert holds_flow(write(tmp_path / "a"))
    shutil.rmtree(tmp_path / "a")
    assert not holds_flow(pictures(tmp_path / "a", 2))


def test_jpeg_is_close_enough(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.clip(128 + 20 * rng.standard_normal((1, 1)) + np.linspace(-9, 9, 30), 0, 255) * np.ones(
        (20, 1)
    )
    for axis in "xy":
        Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / f"flow_{axis}_00001.jpg", quality=95)
    with video.open(tmp_path, modality="flow") as reader:
        error = reader.frames_at([0])[0, 0].int() - torch.from_numpy(smooth.astype(np.int32))
    assert error.abs().max() <= 2
