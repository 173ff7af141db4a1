"""Clips out of shards: the same pixels, few requests, clear errors."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from interlace.data.annotations import AnnotationError, Annotations, Sample
from interlace.data.dataset import TrainDataset, ViewDataset, open_sample, usable_frames
from interlace.data.sampling import SegmentSampling
from interlace.data.shards.folder import is_shard_folder, read_shards
from interlace.data.shards.index import Shard, ShardClip, ShardIndex
from interlace.data.shards.plan import ShardSettings
from interlace.data.shards.sharding import shard_clips
from interlace.data.splits import read_splits
from interlace.data.transforms import train_transform
from interlace.data.video import VideoError


def views(annotations: Annotations, **changes: str) -> ViewDataset:
    return ViewDataset(annotations, SegmentSampling(3), 1, "center", 28, **changes)


@pytest.fixture(params=["folder", "counted"])
def place(request, tmp_path, counted, make_shards) -> str:
    place = str(tmp_path / "out") if request.param == "folder" else "counted://box/out"
    make_shards(place)
    counted.reads.clear()
    return place


def test_same_clips_and_pixels_as_files(clips, place):
    assert is_shard_folder(Path(place))
    assert not is_shard_folder(clips)
    for loose, sharded in zip(read_splits(clips), read_splits(Path(place)), strict=True):
        assert sharded.classes == loose.classes
        number = {sample.path.relative_to(clips): i for i, sample in enumerate(loose.samples)}
        of_loose = [number[sample.path.relative_to(Path(place))] for sample in sharded.samples]
        assert sorted(of_loose) == list(range(len(loose)))
        for i, j in enumerate(of_loose[:5]):
            item, other = views(sharded)[i], views(loose)[j]
            assert item["label"] == other["label"]
            assert torch.equal(item["views"], other["views"])


def test_a_pass_in_order_reads_every_shard_once(place, counted):
    train, _ = read_shards(place)
    items = views(train)
    counted.reads.clear()
    for i in range(len(train)):
        items[i]
    if place.startswith("counted"):
        assert [name for name, _, _ in counted.reads] == [f"train-00000{i}.tar" for i in range(4)]
        assert all(first == 0 for _, first, _ in counted.reads)
    assert list(pickle.loads(pickle.dumps(items))[0]["views"].shape) == [1, 3, 3, 28, 28]


def test_draws_are_those_of_the_position(place):
    train, _ = read_shards(place)
    clips = TrainDataset(train, SegmentSampling(3), train_transform(28), seed=4)
    backwards = {i: clips[i]["clip"] for i in reversed(range(len(clips)))}
    assert all(torch.equal(clips[i]["clip"], backwards[i]) for i in range(len(clips)))


def test_labels_go_by_name(place):
    _, val = read_shards(place, classes=("walk", "swim", "run", "jump"))
    assert {(sample.path.parent.name, val.classes[sample.labels[0]]) for sample in val.samples} == {
        (name, name) for name in ("jump", "run", "walk")
    }
    with pytest.raises(AnnotationError, match=r"found the class 'jump', expected one of the 2"):
        read_shards(place, classes=("walk", "run"))
    with pytest.raises(AnnotationError, match="shards bring their labels and splits"):
        read_splits(Path(place), format="csv")


def test_a_missing_shard(make_shards, tmp_path):
    make_shards(tmp_path)
    (tmp_path / "train-000001.tar").unlink()
    train, _ = read_shards(tmp_path)
    with pytest.raises(
        VideoError, match=r"train-000001.tar: cannot be read \(there is no such file\); check"
    ):
        views(train)[4]
    items = [views(train, on_error="skip")[i] for i in range(len(train))]
    assert [i for i, item in enumerate(items) if item["views"] is None] == [4, 5, 6, 7]


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_clip(make_shards, tmp_path, damage):
    index = make_shards(tmp_path)
    clip = index.shards[0].clips[2]
    file = tmp_path / index.shards[0].name
    content = bytearray(file.read_bytes())
    content[clip.end - 700] ^= 64
    file.write_bytes(content if damage == "flip" else content[: clip.end - 700])
    train, _ = read_shards(tmp_path)
    with pytest.raises(VideoError, match=rf"train-000000.tar, clip {clip.path}: damaged or cut short"):
        views(train)[2]
    assert views(train)[1]["views"] is not None


def test_a_lost_connection_is_asked_for_once_a_run(make_shards, counted):
    make_shards("counted://box/out")
    train, _ = read_shards("counted://box/out")
    items = views(train, on_error="skip")
    counted.failures += [ConnectionError("gone")] * 3
    errors = [items[i].get("error", "") for i in range(4)]
    assert all("train-000000.tar: cannot be read (after 3 attempts: gone)" in error for error in errors)
    assert not counted.failures
    assert "error" not in items[4]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("k.mp4", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("k.mp4", {"pax_headers": {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(2**60)}}),  # holes
        ("k.frame.../1.png", {}),
        ("k./etc/passwd", {}),
        ("other.mp4", {}),
    ],
)
def test_a_shard_that_holds_more_than_files(tmp_path, name, changes):
    member, content = tarfile.TarInfo(name), io.BytesIO()
    for field, value in changes.items():
        setattr(member, field, value)
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    size, crc32 = len(content.getvalue()), zlib.crc32(content.getvalue())
    clip = ShardClip("k", "a.mp4", (0,), None, None, None, 0, size, crc32)
    shards = (Shard("train-000000.tar", "train", size, "", (clip,)),)
    index = ShardIndex(("run",), False, {}, {"train": "by hand", "val": "by hand"}, "", shards)
    (tmp_path / "index.json").write_text(index.to_json())
    (tmp_path / "train-000000.tar").write_bytes(content.getvalue())
    train, _ = read_shards(tmp_path)
    with pytest.raises(VideoError, match=f"it holds '{name}', which is not its own"):
        views(train)[0]


def test_errors_of_the_video_name_shard_and_clip(tmp_path, damaged_video):
    sample = Sample(damaged_video, (0,))
    both = Annotations((sample,), ("run",), "by hand")
    shard_clips(both, both, damaged_video.parent, tmp_path / "out", ShardSettings())
    train, _ = read_shards(tmp_path / "out")
    with pytest.raises(VideoError) as caught:
        views(train)[0]
    assert str(caught.value).startswith(f"{tmp_path}/out/train-000000.tar, clip damaged.mp4: ")
    assert "/dev/shm" not in str(caught.value)
    item = views(train, on_error="skip")[0]
    assert "damaged" in item["note"]
    stored = open_sample(train, 0, "rgb", "raise", None, modality="flow", flow=Path("flows"))
    with pytest.raises(ValueError, match="stored for files, not for shards"):
        stored.__enter__()


def test_pictures_and_bounds(tmp_path):
    root = tmp_path / "clips"
    folder = root / "pictures"
    folder.mkdir(parents=True)
    for i in range(6):
        Image.new("RGB", (20, 10), (10 * i, 0, 0)).save(folder / f"_{i}.png")
    samples = (
        Sample(folder, (0,), num_frames=4),
        Sample(folder, (0,), 0.04, 0.12),
        Sample(folder, (0,), num_frames=9),
    )
    both = Annotations(samples, ("run",), "by hand")
    shard_clips(both, both.subset([0]), root, tmp_path / "out", ShardSettings(clips=1))
    train, _ = read_shards(tmp_path / "out")
    spans = []
    for i, sample in enumerate(train.samples):
        with open_sample(train, i, "rgb", "raise", "_{:d}.png") as reader:
            assert reader.frames_at([5])[0, 0, 0, 0] == 50
            if sample.num_frames == 9:
                with pytest.raises(VideoError, match="promises 9 frames, the folder holds 6"):
                    usable_frames(reader, sample)
            else:
                spans.append(usable_frames(reader, sample))
    assert sorted(spans) == [(0, 4), (1, 3)]
