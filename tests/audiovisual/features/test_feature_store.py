from __future__ import annotations

import os
import shutil
import threading

import pytest
import torch
from PIL import Image

from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import Extractor, create_extractor
from interlace.audiovisual.features.feature_store import EXTRACTOR, FeatureStore, Stored, store_features
from interlace.audiovisual.features.visual_features import create_visual_extractor

SPEC = {
    "audio": {"name": "log_mel", "num_steps": 1},
    "visual": {"name": "resnet10t", "image_size": 32, "frames_per_second": 2},
}


@pytest.fixture(scope="module")
def extractor():
    torch.manual_seed(0)
    return create_extractor(SPEC)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("encoded")
    make_video(folder / "a" / "one.mp4", num_frames=24)
    make_video(folder / "b" / "one.mp4", num_frames=30)
    make_video(folder / "b" / "two words.mkv", num_frames=7)
    return folder


@pytest.fixture
def root(tmp_path, encoded):
    """A copy that may be changed."""
    return shutil.copytree(encoded, tmp_path / "clips")


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_the_tree_is_mirrored(root, tmp_path, extractor):
    output, told = tmp_path / "features", []
    stored = store_features(root, output, extractor, progress=lambda *share: told.append(share))
    soundless = (root / "a/one.mp4", root / "b/one.mp4", root / "b/two words.mkv")
    assert stored == Stored(computed=3, there=0, soundless=soundless, silent=(), failures=())
    files = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    names = ["a/one.mp4", "b/one.mp4", "b/two words.mkv"]
    assert files == [*(f"{name}.safetensors" for name in names), EXTRACTOR]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1] == (3.0, 3, root / "b/two words.mkv")
    store = FeatureStore(output)
    assert store.names() == names
    assert store.spec == extractor.spec
    for name, rows in zip(names, (2, 3, 1), strict=True):
        features, wanted = store.read(name), extractor.features_of(root / name)
        assert features.visual.shape == (rows, 1, 512)
        for part in ("audio", "visual", "heard"):
            assert torch.equal(getattr(features, part), getattr(wanted, part))
        assert (features.notes, features.duration_seconds) == (wanted.notes, wanted.duration_seconds)
    again = store.extractor().features_of(root / names[0])
    assert torch.equal(again.visual, store.read(names[0]).visual)
    assert repr(store) == f"FeatureStore({str(output)!r}, log_mel, resnet10t)"


def test_what_is_whole_is_not_computed_again(root, tmp_path, extractor, make_video):
    output = tmp_path / "features"
    store_features(root, output, extractor)
    before = times(output)
    stored = store_features(root, output, extractor)
    assert (stored.computed, stored.there, len(stored.soundless)) == (0, 3, 3)
    assert times(output) == before
    copy = shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)  # with new times
    assert store_features(copy, output, extractor).there == 3
    make_video(copy / "c.mp4", num_frames=5)
    (output / "b" / "one.mp4.safetensors").write_bytes(b"not whole")
    stored = store_features(copy, output, extractor)
    assert (stored.computed, stored.there) == (2, 2)
    assert FeatureStore(output).read("b/one.mp4").visual.shape == (3, 1, 512)


def test_a_replaced_video_is_noticed(root, tmp_path, extractor, make_video):
    output, path = tmp_path / "features", root / "a" / "one.mp4"
    store_features(root, output, extractor)
    content = bytearray(path.read_bytes())
    assert content.count(b"isom") > 0
    path.write_bytes(content.replace(b"isom", b"iso2", 1))  # as long as before
    os.utime(path, ns=(1, 1))
    assert store_features(root, output, extractor).computed == 1
    make_video(path, num_frames=60)
    assert store_features(root, output, extractor).computed == 1
    assert len(FeatureStore(output).read("a/one.mp4").heard) == 5
    path.write_text("no video any more")
    stored = store_features(root, output, extractor)
    assert [failed for failed, _ in stored.failures] == [path]
    with pytest.raises(
        ValueError, match=r"has no features of a/one\.mp4"
    ):  # the earlier ones were of another video
        FeatureStore(output).read("a/one.mp4")


def test_other_networks_need_another_folder(root, tmp_path, extractor):
    output = tmp_path / "features"
    store_features(root, output, extractor)
    torch.manual_seed(1)
    with pytest.raises(ValueError, match="of networks with other weights; choose another --output"):
        store_features(root, output, create_extractor(SPEC))
    larger = Extractor(create_audio_extractor(), create_visual_extractor("resnet10t", image_size=64))
    told = "audio.num_steps 1 there, 4 here; visual.frames_per_second 2 there, 16 here; "
    told += "visual.image_size 32 there, 64 here"
    with pytest.raises(ValueError, match=rf"of networks of another make \({told}\); choose another --output"):
        store_features(root, output, larger)
    other = tmp_path / "other"
    store_features(root, other, larger)
    shutil.copyfile(other / "a/one.mp4.safetensors", output / "a/one.mp4.safetensors")
    with pytest.raises(
        ValueError, match=r"one\.mp4\.safetensors: not of the networks in extractor\.safetensors"
    ):
        FeatureStore(output).read("a/one.mp4")
    assert store_features(root, output, extractor).computed == 1


def test_a_name_that_cannot_be_read_again_is_refused(tmp_path, encoded, extractor):
    root = tmp_path / "clips"
    root.mkdir()
    path = root / os.fsdecode(b"bad\xff.mp4")
    shutil.copyfile(encoded / "a" / "one.mp4", path)
    ((failed, reason),) = store_features(root, tmp_path / "features", extractor).failures
    assert failed == path
    assert "its name is not UTF-8 text" in reason
    assert "rename it" in reason


def test_a_run_goes_on_where_it_was_interrupted(root, tmp_path, extractor):
    output = tmp_path / "features"

    def interrupted(done, total, path):
        if done >= 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_features(root, output, extractor, progress=interrupted)
    there = FeatureStore(output).names()
    assert 1 <= len(there) <= 3  # others may be done before the first one is told of
    assert there[0] == "a/one.mp4"
    assert not list(output.rglob("*.part"))
    left = output / "b" / ".one.mp4.safetensors.999999999-0123abcd.part"  # as a killed process leaves it
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    stored = store_features(root, output, extractor)
    assert (stored.computed, stored.there) == (3 - len(there), len(there))
    assert FeatureStore(output).names() == ["a/one.mp4", "b/one.mp4", "b/two words.mkv"]


def test_stopping_does_not_wait_for_long_videos(tmp_path, make_video, extractor):
    """The second video of two that are worked on at a time is left half way."""
    root, output, reached = tmp_path / "clips", tmp_path / "features", threading.Event()
    make_video(root / "a.mp4", num_frames=2)
    make_video(root / "b.mp4", num_frames=12 * 40)
    seen = []

    def interrupted(done, total, path):
        if path.name == "b.mp4":
            seen.append(done)
            reached.set()
        elif done >= 1:
            assert reached.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_features(root, output, extractor, num_workers=2, progress=interrupted)
    assert seen
    assert FeatureStore(output).names() == ["a.mp4"]


def test_silence_is_told_from_no_sound(tmp_path, extractor, monkeypatch):
    from interlace.audiovisual.features import extractor as features
    from interlace.data.audio import Sound

    root, level = tmp_path / "clips", {"no.png": (False, 0.0), "silence": (True, 0.0), "tone": (True, 0.5)}
    for name in level:
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 32), (90, 60, 30)).save(root / name / f"{i}.png")

    def read(path, *, sample_rate_hz, num_seconds):
        heard, loud = level[path.name]
        return Sound(torch.full((num_seconds, sample_rate_hz), loud), torch.full((num_seconds,), heard))

    monkeypatch.setattr(features, "read_seconds_of_sound", read)
    for there in (0, 3):
        stored = store_features(root, tmp_path / "features", extractor)
        assert stored == Stored(3 - there, there, (root / "no.png",), (root / "silence",), ())


def test_several_videos_at_a_time(root, tmp_path, extractor):
    store_features(root, tmp_path / "one", extractor)
    store_features(root, tmp_path / "three", extractor, num_workers=3)
    for name in FeatureStore(tmp_path / "one").names():
        one, three = (FeatureStore(tmp_path / folder).read(name) for folder in ("one", "three"))
        torch.testing.assert_close(three.visual, one.visual)


def test_damaged_videos_are_left_out_or_mended(tmp_path, damaged_video, extractor):
    root = tmp_path / "clips"
    root.mkdir()
    shutil.copyfile(damaged_video, root / "damaged.mp4")
    (root / "text.mp4").write_text("no video")
    strict = store_features(root, tmp_path / "strict", extractor)
    assert (strict.computed, [path.name for path, _ in strict.failures]) == (0, ["damaged.mp4", "text.mp4"])
    assert "not a video that FFmpeg can read" in strict.failures[1][1]
    lenient = store_features(root, tmp_path / "lenient", extractor, on_error="skip")
    assert (lenient.computed, [path.name for path, _ in lenient.failures]) == (1, ["text.mp4"])
    assert any("damaged" in note for note in FeatureStore(tmp_path / "lenient").read("damaged.mp4").notes)


def test_folders_that_cannot_be(root, tmp_path, extractor, make_video):
    with pytest.raises(ValueError, match="choose a folder outside of it"):
        store_features(root, root / "features", extractor)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video file and no folder of pictures"):
        store_features(tmp_path / "empty", tmp_path / "features", extractor)
    with pytest.raises(ValueError, match="holds no features"):
        FeatureStore(root)
    pictures = tmp_path / "more" / "extractor"
    pictures.mkdir(parents=True)
    for i in range(3):
        (pictures / f"{i}.png").touch()
    with pytest.raises(ValueError, match=r"its features would be named extractor\.safetensors"):
        store_features(pictures.parent, tmp_path / "features", extractor)
    with pytest.raises(ValueError, match="is a video itself"):
        store_features(pictures, tmp_path / "features", extractor)
    assert not (tmp_path / "features").exists()
