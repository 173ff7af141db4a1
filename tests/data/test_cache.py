from __future__ import annotations

import errno
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from interlace.data import cache as cache_file
from interlace.data import memory_folder as memory
from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.cache import ClipCache
from interlace.data.cached_video import CachedVideo
from interlace.data.dataset import TrainDataset, collate
from interlace.data.flow_store import FlowSettings, store_flow
from interlace.data.sampling import SegmentSampling
from interlace.data.transforms import train_transform
from interlace.data.video import VideoError


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache(tmp_path / "kept", gigabytes=1.0)


def files(cache: ClipCache) -> list[Path]:
    return sorted(cache.folder.glob("*.frames"))


READINGS = [{}, {"color": "gray"}, {"short_side": 30}, {"on_error": "skip"}]


@pytest.mark.parametrize("modality", ["flow", "rgb_diff", "rgb_flow"])
@pytest.mark.parametrize("reading", READINGS)
def test_snippets_are_those_of_the_video(cache, tmp_path, make_video, reading, modality) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=19, size=(48, 64))
    with video.open(path, modality=modality, **reading) as expected:
        for _ in range(2):
            with cache.open(path, modality=modality, **reading) as reader:
                assert torch.equal(reader.frames_at([7, 0, 18, 7]), expected.frames_at([7, 0, 18, 7]))
                assert torch.equal(reader.pts_seconds, expected.pts_seconds)
                for name in ("num_frames", "num_channels", "fps", "height", "width", "notes", "damage"):
                    assert getattr(reader, name) == getattr(expected, name)
    assert len(files(cache)) == 1
    cache.open(path, modality=modality, flow="tvl1", **reading).close()
    assert len(files(cache)) == (1 if modality == "rgb_diff" else 2)  # another method, other fields


def test_large_frames_are_kept_as_snippets_are_made_of_them(cache, tmp_path, make_video) -> None:
    path = make_video(tmp_path / "large.mp4", num_frames=5, size=(300, 400))
    with cache.open(path, modality="rgb_diff") as reader, video.open(path, modality="rgb_diff") as expected:
        assert torch.equal(reader.frames_at([1]), expected.frames_at([1]))
    content = files(cache)[0].stat().st_size
    assert 5 * 256 * 341 * 3 < content < 5 * 256 * 341 * 3 + 4096


def test_stored_flow_is_not_kept_again(cache, tmp_path, make_video) -> None:
    path = make_video(tmp_path / "clips" / "a.mp4", num_frames=5)
    store_flow(tmp_path / "clips", tmp_path / "flow", FlowSettings())
    with (
        cache.open(path, modality="flow", flow=tmp_path / "flow") as reader,
        video.open(path, modality="flow", flow=tmp_path / "flow") as expected,
    ):
        assert torch.equal(reader.frames_at([1]), expected.frames_at([1]))
    assert files(cache) == []
    cache.open(path, modality="rgb_diff", flow=tmp_path / "flow").close()  # differences take none of it
    assert len(files(cache)) == 1


@pytest.mark.parametrize("reading", READINGS)
def test_frames_are_those_of_the_video(cache, tmp_path, make_video, reading) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=19, size=(48, 64))
    with video.open(path, **reading) as expected:
        for _ in range(2):  # when it is filled, and when it is there
            with cache.open(path, **reading) as reader:
                assert isinstance(reader, CachedVideo)
                clip, like = reader.frames_at([7, 0, 18, 7]), expected.frames_at([7, 0, 18, 7])
                assert torch.equal(clip, like)
                assert clip.stride() == like.stride()
                assert torch.equal(reader.pts_seconds, expected.pts_seconds)
                for name in ("num_frames", "fps", "duration_seconds", "height", "width", "notes", "damage"):
                    assert getattr(reader, name) == getattr(expected, name)
                with pytest.raises(VideoError, match="there is no frame 19"):
                    reader.frames_at([19])
    assert len(files(cache)) == 1


def test_ways_of_reading_are_kept_apart(cache, tmp_path, make_video) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=6)
    shapes = [
        cache.open(path, **reading).frames_at([0]).shape[1:]
        for reading in ({}, {"color": "gray"}, {"short_side": 24})
    ]
    assert shapes == [(3, 48, 64), (1, 48, 64), (3, 24, 32)]
    assert len(files(cache)) == 3


def test_a_changed_video_is_decoded_again(cache, tmp_path, make_video) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=6)
    before = path.stat()
    assert cache.open(path).num_frames == 6
    content = make_video(tmp_path / "b.mp4", num_frames=9).read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.open(path).num_frames == 9


def test_a_file_that_is_not_whole_is_made_again(cache, tmp_path, make_video) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=6)
    expected = cache.open(path).frames_at(range(6))
    (file,) = files(cache)
    whole = file.read_bytes()
    for content in (b"", whole[:7], whole[:-5]):
        file.unlink()
        file.write_bytes(content)
        assert torch.equal(cache.open(path).frames_at(range(6)), expected)
        assert file.read_bytes() == whole


def test_what_is_not_kept(cache, tmp_path, make_video, damaged_video, monkeypatch) -> None:
    pictures = tmp_path / "frames"
    pictures.mkdir()
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (8, 8)).save(pictures / f"{i}.png")
    assert cache.open(pictures).num_frames == 3
    with cache.open(damaged_video, on_error="skip") as reader:
        assert reader.frames_at([0]).shape == (1, 3, 48, 64)
        assert reader.damage == ""  # of what was read, as without a cache
    with pytest.raises(VideoError, match="there is no such file"):
        cache.open(tmp_path / "none.mp4")
    monkeypatch.setattr(cache_file, "LARGEST_CLIP", 6 * 48 * 64 * 3 - 1)
    with cache.open(make_video(tmp_path / "a.mp4", num_frames=6)) as reader:
        assert reader.frames_at([5]).shape == (1, 3, 48, 64)
    assert files(cache) == []


def test_the_limit(tmp_path, make_video, caplog) -> None:
    paths = [make_video(tmp_path / f"{i}.mp4", num_frames=6) for i in range(3)]
    cache = ClipCache(tmp_path / "kept", gigabytes=1.5 * 6 * 48 * 64 * 3 / 1e9)
    with caplog.at_level(logging.WARNING):
        for path in paths:
            assert cache.open(path).frames_at([5]).shape == (1, 3, 48, 64)
    assert len(files(cache)) == 1
    (said,) = caplog.messages
    assert "no more decoded videos are kept (the limit of" in said
    larger = ClipCache(tmp_path / "kept", gigabytes=1.0)  # counts what is there
    larger.open(paths[1]).close()
    assert len(files(larger)) == 2


def test_a_full_disk(cache, tmp_path, make_video, caplog, monkeypatch) -> None:
    paths = [make_video(tmp_path / f"{i}.mp4", num_frames=6) for i in range(2)]

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for path in paths:
        assert cache.open(path).frames_at([5]).shape == (1, 3, 48, 64)
    (said,) = caplog.messages
    assert "No space left on device" in said
    assert [file.name for file in cache.folder.iterdir()] == ["account.json"]


def test_leftovers_of_a_killed_process(tmp_path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / ".abc.frames.part").write_bytes(b"half")
    (folder / "account.json").write_text('{"bytes": 12')
    (folder / "abc.frames").write_bytes(bytes(50))
    ClipCache(folder, gigabytes=1.0)
    assert sorted(file.name for file in folder.iterdir()) == ["abc.frames", "account.json"]
    assert (folder / "account.json").read_text() == '{"bytes": 50, "full": false}'


def test_a_folder_that_is_deleted_meanwhile(cache, tmp_path, make_video) -> None:
    import shutil

    path = make_video(tmp_path / "a.mp4", num_frames=6)
    shutil.rmtree(cache.folder)
    assert cache.open(path).frames_at([5]).shape == (1, 3, 48, 64)


def test_a_folder_that_cannot_be(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="frames cannot be kept there"):
        ClipCache(tmp_path / "file" / "kept", gigabytes=1.0)


def clips_of(folder: Path, cache: ClipCache | None, workers: int, method: str | None = None) -> torch.Tensor:
    samples = tuple(Sample(path, (0,)) for path in sorted(folder.glob("*.mp4")))
    dataset = TrainDataset(
        Annotations(samples, ("zero",), "by hand"),
        SegmentSampling(4),
        train_transform(24),
        seed=0,
        short_side=40,
        cache=cache,
    )
    loader = DataLoader(
        dataset, batch_size=2, num_workers=workers, collate_fn=collate, multiprocessing_context=method
    )
    return torch.cat([batch["clip"] for _ in range(2) for batch in loader])


@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork")])
@pytest.mark.parametrize("in_memory", [False, True])
def test_clips_are_the_same_with_and_without(
    tmp_path: Path, make_video: Callable[..., Path], workers: int, method: str | None, in_memory: bool
) -> None:
    for i in range(5):
        make_video(tmp_path / f"{i}.mp4", num_frames=6 + i)
    cache = ClipCache(None if in_memory else tmp_path / "kept", gigabytes=1.0)
    assert torch.equal(clips_of(tmp_path, cache, workers, method), clips_of(tmp_path, None, 0))
    assert len(files(cache)) == 5


def test_memory_is_given_back(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    cache = ClipCache(None, gigabytes=1.0)
    other = pickle.loads(pickle.dumps(cache))
    assert other.folder == cache.folder
    del other
    assert cache.folder.is_dir()
    del cache
    assert list(tmp_path.iterdir()) == []


def test_memory_of_a_killed_process_is_given_back(monkeypatch, tmp_path) -> None:
    code = (
        "import os, pathlib, signal\n"
        "from interlace.data import cache, memory_folder\n"
        f"memory_folder.ROOT = pathlib.Path({str(tmp_path)!r})\n"
        "kept = cache.ClipCache(None, gigabytes=1.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    cache = ClipCache(None, gigabytes=1.0)
    again = ClipCache(None, gigabytes=1.0)  # does not take one in use away
    assert set(tmp_path.iterdir()) == {cache.folder, again.folder}
    assert left not in (cache.folder, again.folder)


def test_no_shared_memory(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(memory, "ROOT", tmp_path / "none")
    with pytest.raises(ValueError, match="name a folder on a quick disk"):
        ClipCache(None, gigabytes=1.0)
