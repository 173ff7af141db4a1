"""Writing shards: what is in them, going on after an interruption, what is refused."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from interlace.data.annotations import AnnotationError, Annotations, Sample
from interlace.data.shards.folder import read_shards
from interlace.data.shards.index import ShardIndex, read_index
from interlace.data.shards.plan import ShardSettings
from interlace.data.shards.sharding import shard_clips
from interlace.data.shards.storage import open_storage
from interlace.data.shards.verify import verify_shards
from interlace.data.splits import read_splits


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def webdataset_samples(file: Path) -> list[dict]:
    """What WebDataset makes of a shard."""
    with file.open("rb") as stream:
        return list(group_by_keys(tar_file_expander([{"url": str(file), "stream": stream}])))


def test_a_webdataset_reader_finds_every_clip(clips, make_shards, tmp_path):
    index = make_shards(tmp_path / "out")
    files = sorted((tmp_path / "out").glob("*.tar"))
    assert [file.name for file in files] == [
        *(f"train-00000{i}.tar" for i in range(4)),
        "val-000000.tar",
    ]
    found = {}
    for sample in itertools.chain(*map(webdataset_samples, files)):
        about = json.loads(sample["json"])
        assert sample["mp4"] == (clips / about["path"]).read_bytes()
        assert about["classes"] == [Path(about["path"]).parent.name]
        assert index.classes[about["label"]] == about["classes"][0]
        found[sample["__key__"]] = about["path"]
    assert len(found) == 18
    assert sorted(found.values()) == sorted(f.relative_to(clips).as_posix() for f in clips.glob("*/*.mp4"))
    train, val = read_splits(clips)
    assert {clip.path for s in index.shards if s.split == "val" for clip in s.clips} == {
        sample.path.relative_to(clips).as_posix() for sample in val.samples
    }
    assert [len(shard.clips) for shard in index.shards] == [4, 4, 4, 3, 3]
    assert len(train) == 15


def test_index_tells_sizes_checksums_and_places(make_shards, tmp_path):
    index = make_shards(tmp_path)
    assert read_index(open_storage(tmp_path)) == index
    for shard in index.shards:
        content = (tmp_path / shard.name).read_bytes()
        assert (shard.num_bytes, shard.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        for clip in shard.clips:
            with tarfile.open(fileobj=io.BytesIO(content[clip.first : clip.end])) as tar:
                assert tar.getnames() == [f"{clip.key}.json", f"{clip.key}.mp4"]


def test_classes_are_mixed_and_the_seed_decides(make_shards, tmp_path):
    paths = [
        [clip.path for shard in make_shards(tmp_path / str(seed), seed=seed).shards for clip in shard.clips]
        for seed in (0, 1)
    ]
    assert paths[0] != paths[1]
    assert paths[0] != sorted(paths[0])


def test_shards_end_where_they_are_full(make_shards, tmp_path):
    index = make_shards(tmp_path, clips=100, megabytes=0.003)
    assert all(len(shard.clips) >= 1 for shard in index.shards)
    assert len(index.shards) > 5
    with pytest.raises(ValueError, match=r"clips=0 and megabytes=256\.0 of a shard must leave room"):
        ShardSettings(clips=0)


def test_goes_on_where_it_was_with_the_same_bytes(clips, make_shards, tmp_path, counted):
    make_shards(tmp_path / "whole")
    output = "counted://box/clips"
    puts: list[str] = []

    def stop(done: int, total: int, name: str) -> None:
        puts.append(name.rpartition("/")[2])
        if done == 2:
            raise KeyboardInterrupt

    split = read_splits(clips)
    with pytest.raises(KeyboardInterrupt):
        shard_clips(*split, clips, output, ShardSettings(clips=4), num_workers=1, progress=stop)
    names = {name.rpartition("/")[2] for name in counted.store}
    assert "index.json" not in names
    assert {"sharding.json", *puts} <= names
    with pytest.raises(
        AnnotationError, match=r"index.json: the shards are not all written; go on with the same"
    ):
        read_shards(output)
    written = {path: file.modified for path, file in counted.store.items() if path.endswith(tuple(puts))}

    index, there = shard_clips(*split, clips, output, ShardSettings(clips=4), num_workers=1)
    assert there >= 2
    assert {path: counted.store[path].modified for path in written} == written
    assert {path.rpartition("/")[2]: file.getvalue() for path, file in counted.store.items()} == contents(
        tmp_path / "whole"
    )
    assert shard_clips(*split, clips, output, ShardSettings(clips=4))[1] == len(index.shards)


def test_an_unfinished_shard_is_written_again(make_shards, clips, tmp_path):
    make_shards(tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "train-000001.tar").write_bytes(whole["train-000001.tar"][:2048])
    (tmp_path / "train-000002.tar").unlink()
    assert len(list(verify_shards(open_storage(tmp_path), read_index(open_storage(tmp_path))))) == 2
    _, there = shard_clips(*read_splits(clips), clips, tmp_path, ShardSettings(clips=4))
    assert there == 3
    assert contents(tmp_path) == whole


def test_other_shards_are_not_mixed_in(make_shards, clips, tmp_path):
    make_shards(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(
        ValueError, match=r"holds other shards \(clips was 4 and is 5 now\); choose another place"
    ):
        make_shards(tmp_path, clips=5)
    with pytest.raises(ValueError, match="shards need a folder of their own"):
        make_shards(clips)
    train, val = read_splits(clips)
    with pytest.raises(ValueError, match=r"holds other shards \(the clips, their labels or their sizes"):
        shard_clips(train.subset(range(9)), val, clips, tmp_path, ShardSettings(clips=4))
    assert contents(tmp_path) == before


def test_verify_finds_one_changed_bit(make_shards, tmp_path):
    index = make_shards(tmp_path)
    file = tmp_path / "val-000000.tar"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    told: list[int] = []
    problems = list(verify_shards(open_storage(tmp_path), index, lambda done, total, name: told.append(done)))
    assert problems == [
        f"{file}: damaged (another checksum); delete it, the same `interlace shard` command writes it again"
    ]
    assert told == [1, 2, 3, 4, 5]


def annotations(*samples: Sample) -> tuple[Annotations, Annotations]:
    return Annotations(samples, ("run", "walk"), "by hand"), Annotations(
        samples[:1], ("run", "walk"), "by hand"
    )


def test_folders_of_pictures_segments_and_odd_names(tmp_path, make_video):
    root = tmp_path / "clips"
    folder = root / "a.b" / "pictures"
    folder.mkdir(parents=True)
    for name in ("_1.png", "_2.png", "_3.png"):
        Image.new("RGB", (20, 10), "red").save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    make_video(root / "ünusual name.v2.MP4", num_frames=9)
    split = annotations(
        Sample(folder, (1,), num_frames=2),
        Sample(root / "ünusual name.v2.MP4", (0,), 0.25, 0.5, num_frames=77),
    )
    index, _ = shard_clips(*split, root, tmp_path / "out", ShardSettings())
    by_path = {clip.path: clip for clip in index.shards[0].clips}
    assert by_path["a.b/pictures"].num_frames == 2
    video = by_path["ünusual name.v2.MP4"]
    assert (video.start_seconds, video.end_seconds, video.num_frames) == (0.25, 0.5, None)
    samples = {
        json.loads(sample["json"])["path"]: sample
        for sample in webdataset_samples(tmp_path / "out/train-000000.tar")
    }
    assert samples["a.b/pictures"]["frame._2.png"] == (folder / "_2.png").read_bytes()
    assert samples["ünusual name.v2.MP4"]["mp4"] == (root / "ünusual name.v2.MP4").read_bytes()
    assert not [name for name in samples["a.b/pictures"] if "notes" in name]


def test_clips_that_cannot_be_read(tmp_path, make_video):
    root = tmp_path / "clips"
    make_video(root / "a.mp4", num_frames=8)
    (root / "empty.mp4").touch()
    split = annotations(
        Sample(root / "a.mp4", (0,)), Sample(root / "gone.mp4", (1,)), Sample(root / "empty.mp4", (1,))
    )
    with pytest.raises(ValueError, match=r'(gone|empty).mp4: .*leave it out with on_error="skip"'):
        shard_clips(*split, root, tmp_path / "out", ShardSettings())
    index, _ = shard_clips(*split, root, tmp_path / "out", ShardSettings(), on_error="skip")
    assert [[clip.path for clip in shard.clips] for shard in index.shards] == [["a.mp4"], ["a.mp4"]]
    assert sorted(index.left_out) == [
        ("empty.mp4", f"{root}/empty.mp4: the file is empty (0 bytes)"),
        ("gone.mp4", f"{root}/gone.mp4: No such file or directory"),
    ]
    assert (tmp_path / "out/skipped.csv").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:100], "index.json: not the index of shards"),
        (
            lambda text: text.replace('_shards": 1', '_shards": 2'),
            "its format is 2, this version reads 1",
        ),
        (
            lambda text: text.replace("train-000000.tar", "../../etc/passwd.tar"),
            "damaged .*'../../etc/passwd.tar'",
        ),
        (lambda text: text.replace('"split": "val"', '"split": "x"'), "damaged .*split 'x'"),
        (lambda text: text.replace('"num_bytes": ', '"num_bytes": -'), "damaged .*at bytes 0 to"),
        (lambda text: text.replace('"classes"', '"klasses"'), "damaged .*'classes'"),
        (lambda text: text.replace("[2]", "[3]"), r"damaged .*labels \(3,\) of 3 classes"),
        (lambda text: text.replace("[2]", "[-1]"), r"damaged .*labels \(-1,\) of 3 classes"),
        (lambda text: text.replace("[2]", "[1e999]"), "damaged .*infinity"),
        (lambda text: "[" * 10**6, "index.json: not the index of shards"),
    ],
)
def test_damaged_index(make_shards, tmp_path, change, message):
    text = make_shards(tmp_path).to_json()
    with pytest.raises(ValueError, match=message):
        ShardIndex.from_json(change(text), "out/index.json")
