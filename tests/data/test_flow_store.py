from __future__ import annotations

import json
import threading

import pytest
import torch
from PIL import Image

import interlace
from interlace.data import video
from interlace.data.annotations import read_annotations
from interlace.data.dataset import usable_frames
from interlace.data.flow import NO_MOTION
from interlace.data.flow_store import FlowSettings, StoppedError, store_flow, write_flow


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_video, moving_square):
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "a" / "one.mp4", num_frames=7)
    make_video(folder / "b" / "two.mp4", num_frames=9, size=(300, 400))
    moving_square(folder / "b" / "square", num_frames=8)
    return folder


@pytest.fixture(scope="module")
def stored(root, tmp_path_factory):
    output = tmp_path_factory.mktemp("stored") / "flow"
    seen = []
    counts = store_flow(root, output, FlowSettings(), progress=lambda *told: seen.append(told[:2]))
    assert counts == (3, 0, [])
    assert seen == [(1, 3), (2, 3), (3, 3)]
    return output


def test_the_tree_is_mirrored(stored):
    files = sorted(str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file())
    expected = [
        f"{name}/flow_{axis}_{i:05d}.jpg"
        for name, number in (("a/one.mp4", 6), ("b/square", 7), ("b/two.mp4", 8))
        for axis in "xy"
        for i in range(1, number + 1)
    ]
    about = ["a/one.mp4/flow.json", "b/square/flow.json", "b/two.mp4/flow.json"]
    assert files == sorted([*expected, *about])
    with Image.open(stored / "b/two.mp4/flow_x_00001.jpg") as picture:
        assert (picture.size, picture.mode) == ((341, 256), "L")


def test_what_is_told_beside(stored, root):
    about = json.loads((stored / "b/two.mp4/flow.json").read_text())
    assert (about["method"], about["bound"], about["short_side"]) == ("dis", 20.0, 256)
    assert (about["height"], about["width"], about["interlace"]) == (256, 341, interlace.__version__)
    assert about["source"] == {
        "path": "b/two.mp4",
        "bytes": (root / "b/two.mp4").stat().st_size,
        "height": 300,
        "width": 400,
        "num_frames": 9,
    }
    assert about["pts_seconds"] == pytest.approx([i / 12 for i in range(9)])


@pytest.mark.parametrize("modality", ["flow", "rgb_flow"])
@pytest.mark.parametrize("name", ["a/one.mp4", "b/two.mp4", "b/square"])
def test_stored_and_computed_flow_agree(stored, root, modality, name):
    with (
        video.open(root / name, modality=modality) as computed,
        video.open(root / name, modality=modality, flow=stored) as read,
    ):
        assert read.num_frames == computed.num_frames
        indices = [0, 2, computed.num_frames - 3, computed.num_frames - 1]
        error = (read.frames_at(indices).int() - computed.frames_at(indices).int()).abs()
    assert error.float().mean() < 0.5
    assert error.max() <= 8  # JPEG at the edges of what moves
    assert torch.equal(error[:, :-10], torch.zeros_like(error[:, :-10]))


def test_the_folder_of_flow_is_a_data_set(stored, root, tmp_path):
    clips = read_annotations(stored)
    assert clips.classes == ("a", "b")
    assert [sample.path.relative_to(stored).as_posix() for sample in clips.samples] == [
        "a/one.mp4",
        "b/square",
        "b/two.mp4",
    ]
    (tmp_path / "list.csv").write_text("path,label\na/one.mp4,x\nb/two.mp4,y\n")
    (tmp_path / "list.txt").write_text("a/one.mp4 7 0\nb/square 8 1\n")
    for file, format in (("list.csv", "csv"), ("list.txt", "tsn")):
        of_flow = read_annotations(stored, tmp_path / file, format=format)
        of_color = read_annotations(root, tmp_path / file, format=format)
        for sample, plain in zip(of_flow.samples, of_color.samples, strict=True):
            with video.open(sample.path, modality="flow") as reader, video.open(plain.path) as frames:
                assert usable_frames(reader, sample) == usable_frames(frames, plain)
                assert torch.equal(reader.pts_seconds, frames.pts_seconds)


def test_what_is_whole_is_not_computed_again(stored, root):
    before = (stored / "a/one.mp4/flow_x_00001.jpg").stat().st_mtime_ns
    assert store_flow(root, stored, FlowSettings()) == (0, 3, [])
    assert (stored / "a/one.mp4/flow_x_00001.jpg").stat().st_mtime_ns == before


def test_a_run_goes_on_where_it_was_interrupted(root, tmp_path):
    def interrupted(done, total, path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_flow(root, tmp_path, FlowSettings(), num_workers=1, progress=interrupted)
    there = video.find_videos(tmp_path)
    assert 1 <= len(there) <= 2  # the second one may be done before the first one is told of
    assert there[0] == tmp_path / "a/one.mp4"
    assert video.open(there[0], modality="flow").num_frames == 7
    assert not list(tmp_path.rglob("*.part"))
    left = tmp_path / "b" / ".two.mp4.999999999-0123abcd.part"  # as a killed process leaves it
    left.mkdir(parents=True, exist_ok=True)
    (left / "flow_x_00099.jpg").touch()
    assert video.find_videos(tmp_path) == there
    assert store_flow(root, tmp_path, FlowSettings(), num_workers=1) == (3 - len(there), len(there), [])
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "b" / "two.mp4" / "flow_x_00099.jpg").exists()


def test_stopping_leaves_a_video_half_way(tmp_path, moving_square):
    stop = threading.Event()
    stop.set()
    reader = video.open_pictures(moving_square(tmp_path / "square"), modality="flow")
    with pytest.raises(StoppedError):
        write_flow(reader, tmp_path, stop=stop)
    assert not list(tmp_path.glob("flow_*"))


def test_damaged_videos_are_left_out_or_mended(tmp_path, damaged_video, make_video):
    root = tmp_path / "clips"
    good = make_video(root / "good.mp4", num_frames=5)
    (root / "damaged.mp4").write_bytes(damaged_video.read_bytes())
    (root / "text.mp4").write_text("no video")
    computed, there, failures = store_flow(root, tmp_path / "flow", FlowSettings())
    assert (computed, there) == (1, 0)
    assert [path.name for path, _ in failures] == ["damaged.mp4", "text.mp4"]
    assert "cannot be decoded" in failures[0][1]
    assert "not a video" in failures[1][1]
    assert [path.name for path in (tmp_path / "flow").iterdir()] == [good.name]
    computed, there, failures = store_flow(root, tmp_path / "flow", FlowSettings(), on_error="skip")
    assert (computed, there, len(failures)) == (1, 1, 1)
    assert video.open(tmp_path / "flow" / "damaged.mp4", modality="flow").num_frames == 24


def test_one_frame_has_a_field_without_motion(tmp_path, moving_square):
    moving_square(tmp_path / "clips" / "one", num_frames=1)
    assert store_flow(tmp_path / "clips", tmp_path / "flow", FlowSettings())[0] == 1
    frames = tmp_path / "clips" / "one"
    for arguments in ({}, {"flow": tmp_path / "flow"}):
        with video.open(frames, modality="flow", **arguments) as reader:
            assert reader.num_frames == 1
            assert (reader.frames_at([0]).int() - 128).abs().max() <= 1


def test_a_changed_video_is_computed_again(tmp_path, make_video):
    path = make_video(tmp_path / "clips" / "a.mp4", num_frames=5)
    store_flow(tmp_path / "clips", tmp_path / "flow", FlowSettings())
    make_video(path, num_frames=9)
    assert store_flow(tmp_path / "clips", tmp_path / "flow", FlowSettings()) == (1, 0, [])
    assert video.open(path, modality="flow", flow=tmp_path / "flow").num_frames == 9


def test_other_settings_need_another_folder(stored, root, tmp_path):
    with pytest.raises(ValueError, match=r"one.mp4 holds flow of other settings .*'dis'.* another --output"):
        store_flow(root, stored, FlowSettings("dis_fast"))
    (stored.parent / "other" / "a" / "one.mp4").mkdir(parents=True)
    (stored.parent / "other" / "a" / "one.mp4" / "flow_x_00001.jpg").touch()
    with pytest.raises(ValueError, match="not written by interlace"):
        store_flow(root, stored.parent / "other", FlowSettings())
    for inside in (root, root / "flow", root / "a" / "flow"):
        with pytest.raises(ValueError, match="choose a folder outside of it"):
            store_flow(root, inside, FlowSettings())
    with pytest.raises(ValueError, match="no video file"):
        store_flow(tmp_path, tmp_path.parent / "nothing", FlowSettings())
    with pytest.raises(ValueError, match="short_side=0 leaves no pixel"):
        FlowSettings(short_side=0)


def test_one_frame_stays_one(tmp_path, make_video):
    """Its one field stands for no other frame."""
    make_video(tmp_path / "clips" / "a.mp4", num_frames=1)
    store_flow(tmp_path / "clips", tmp_path / "flow", FlowSettings())
    for path, flow in (
        (tmp_path / "flow" / "a.mp4", "dis"),
        (tmp_path / "clips" / "a.mp4", tmp_path / "flow"),
    ):
        with video.open(path, modality="flow", flow=flow) as reader:
            assert (reader.num_frames, reader.duration_seconds, reader.notes) == (
                1,
                pytest.approx(1 / 12),
                [],
            )
            assert (reader.frames_at([0]) == NO_MOTION).all()
