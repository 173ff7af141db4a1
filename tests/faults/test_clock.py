"""A clock that jumps, an hour or ten years and back, changes nothing: neither what is done nor what comes out."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from interlace.audiovisual.features.source_file import is_still, source_of
from interlace.data import video
from interlace.data.cache import ClipCache
from interlace.data.flow_store import FlowSettings, store_flow
from interlace.files import locked, whole_file
from interlace.training.config import TrainConfig, TrainerConfig
from interlace.training.run import train

HOUR, TEN_YEARS = 3600, 10 * 365 * 86400
REAL = {"time": time.time, "time_ns": time.time_ns}


@pytest.fixture
def jumping_clock(monkeypatch) -> None:
    """The time of day jumps at every look; what counts seconds (time.monotonic) does not, as on real systems."""
    now, jumps = time.time, itertools.cycle([HOUR, -HOUR, TEN_YEARS, -TEN_YEARS, 0])
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int((now() + next(jumps)) * 1e9))


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video) -> Path:
    """Two classes of five videos."""
    root = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("down", "up")):
        for i in range(5):
            make_video(root / name / f"{i}.mp4", num_frames=6 + 5 * number + i, size=(48, 64))
    return root


def set_times(folder: Path, seconds: int) -> None:
    """As if all in it had been written so far in the future, or in the past."""
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (time.time() + seconds,) * 2)


def test_training_and_going_on(clips, tmp_path, jumping_clock, monkeypatch):
    def settings(name: str, **changes) -> TrainConfig:
        trainer = TrainerConfig(num_workers=0, accelerator="cpu", **changes)
        network = {"model": "tsn_test_resnet", "pretrained": False, "num_segments": 2, "image_size": 32}
        return TrainConfig(
            clips, output=tmp_path / name, epochs=2, batch_size=4, resume=True, trainer=trainer, **network
        )

    with monkeypatch.context() as steady:
        for name in ("time", "time_ns"):
            steady.setattr(time, name, REAL[name])
        train(settings("steady"))
    train(settings("jumping", checkpoint_minutes=1e-6))
    (tmp_path / "jumping" / "last.safetensors").unlink()  # as if it had been killed here
    for seconds in (TEN_YEARS, -TEN_YEARS):
        set_times(tmp_path / "jumping", seconds)
    train(settings("jumping", checkpoint_minutes=1e-6))
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "jumping" / name).read_bytes() == (tmp_path / "steady" / name).read_bytes()


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS])
def test_flow_is_computed_once(moving_pictures, tmp_path, jumping_clock, seconds):
    pytest.importorskip("cv2")
    output = tmp_path / "flow"
    settings = FlowSettings("dis", short_side=48)
    assert store_flow(moving_pictures, output, settings, num_workers=1) == (2, 0, [])
    for folder in (moving_pictures, output):
        set_times(folder, seconds)
    assert store_flow(moving_pictures, output, settings, num_workers=1) == (0, 2, [])
    shutil.rmtree(output / "b")
    assert store_flow(moving_pictures, output, settings, num_workers=1) == (1, 1, [])


@pytest.fixture
def moving_pictures(tmp_path) -> Path:
    """Two videos as folders of pictures."""
    for name in "ab":
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for i in range(3):
            Image.linear_gradient("L").rotate(5 * i).resize((64, 48)).convert("RGB").save(
                folder / f"img_{i:03d}.png"
            )
    return tmp_path / "videos"


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS])
def test_a_source_is_known_by_its_content(tmp_path, seconds):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    source = source_of(path)
    set_times(tmp_path, seconds)
    assert is_still(path, source)
    path.write_bytes(b"two")
    set_times(tmp_path, -seconds)
    assert not is_still(path, source)


def test_a_video_of_the_future_is_read_and_kept(make_video, tmp_path, jumping_clock):
    path = make_video(tmp_path / "clips" / "a.mp4", num_frames=9)
    set_times(path.parent, TEN_YEARS)
    cache = ClipCache(tmp_path / "cache", gigabytes=1)
    with video.open(path) as reader:
        assert cache.open(path).frames_at([0, 8]).equal(reader.frames_at([0, 8]))
    set_times(
        path.parent, -HOUR
    )  # of another time, it may be another video: it is decoded anew, and kept too
    cache.open(path)
    assert len(list((tmp_path / "cache").glob("*.frames"))) == 2


def test_files_and_locks(tmp_path, jumping_clock):
    path = tmp_path / "a.txt"
    with whole_file(path) as beside:
        set_times(tmp_path, TEN_YEARS)
        beside.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.glob(".*")) == []
    with locked(tmp_path / ".lock", "training"):
        set_times(tmp_path, -TEN_YEARS)
        with pytest.raises(ValueError, match="training is under way"), locked(tmp_path / ".lock", "training"):
            pass
