"""Files that vanish, grow, or are replaced while they are read: an error that says so, never frames of two versions."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from interlace.data import frame_folder, video
from interlace.data.cache import ClipCache
from interlace.data.file_state import FileState, change, require_disk
from interlace.data.frame_index import ReadError
from interlace.data.video import VideoError


@pytest.fixture
def path(make_video, tmp_path) -> Path:
    """Two groups of pictures: a second reading seeks, or opens the file again."""
    return make_video(tmp_path / "a.mp4", num_frames=24, gop=12)


@pytest.fixture
def other(make_video, tmp_path) -> Path:
    """Another video, of other pictures."""
    return make_video(tmp_path / "other.mp4", num_frames=30, gop=5, size=(64, 48))


def age(path: Path) -> None:
    """Files are written more than a tick of the clock apart."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))


def vanish(path: Path, other: Path) -> None:
    path.unlink()


def grow(path: Path, other: Path) -> None:
    with path.open("ab") as file:
        file.write(other.read_bytes())


def be_replaced(path: Path, other: Path) -> None:
    other.replace(path)


def be_cut_off(path: Path, other: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def be_written_to(path: Path, other: Path) -> None:
    content = path.read_bytes()
    with path.open("r+b") as file:  # the same file, of the same size
        file.write(content[:-200] + bytes(200))


CHANGES = {
    vanish: "it is gone",
    grow: "it grew from",
    be_replaced: "another file has its place",
    be_cut_off: "it shrank from",
    be_written_to: "it was written to",
}


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("happens", CHANGES, ids=lambda function: function.__name__)
def test_between_two_readings(path, other, happens, on_error):
    age(path)
    with video.open(path, on_error=on_error) as reader:
        before = reader.frames_at([0, 3])
        happens(path, other)
        with pytest.raises(
            VideoError, match=rf"a\.mp4: {CHANGES[happens]}.* while it was read; read it again"
        ):
            reader.frames_at([20, 1])
    assert before.shape[0] == 2


@pytest.mark.parametrize("happens", CHANGES, ids=lambda function: function.__name__)
def test_between_the_index_and_the_frames(path, other, happens, monkeypatch):
    age(path)
    make_index = video.VideoFile._make_index

    def then_change(self):
        index = make_index(self)
        happens(path, other)
        return index

    monkeypatch.setattr(video.VideoFile, "_make_index", then_change)
    with pytest.raises(VideoError, match=rf"a\.mp4: {CHANGES[happens]}.* while it was read"):
        video.open(path, on_error="skip")


def test_within_a_whole_decode(path, other):
    age(path)
    with video.open(path, on_error="skip") as reader:
        be_cut_off(path, other)
        with pytest.raises(VideoError, match=r"it shrank from \d+ to \d+ bytes while it was read"):
            reader.damaged_frames()


def test_other_times_of_access_and_names_are_no_change(path, tmp_path):
    with video.open(path) as reader:
        os.link(path, tmp_path / "again.mp4")  # one more name, another time of change of the record
        assert reader.frames_at([5]).shape == (1, 3, 48, 64)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six pictures."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(1, 7):
        Image.new("RGB", (7, 5), (40 * i, 0, 0)).save(folder / f"img_{i:03d}.png")
    age(folder)
    return folder


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_picture_goes(folder, on_error):
    with video.open(folder, on_error=on_error) as reader:
        assert reader.frames_at([3])[0, 0, 0, 0] == 160
        (folder / "img_004.png").unlink()
        with pytest.raises(VideoError, match=r"clip: img_004\.png went while it was read; read it again"):
            reader.frames_at([3])


def test_pictures_come(folder):
    with video.open(folder) as reader:
        Image.new("RGB", (7, 5)).save(folder / "img_007.png")
        with pytest.raises(VideoError, match=r"clip: img_007\.png came while it was read"):
            reader.frames_at([0])


def test_the_folder_goes(folder):
    with video.open(folder, on_error="skip") as reader:
        shutil.rmtree(folder)
        with pytest.raises(VideoError, match="clip: it is gone while it was read"):
            reader.frames_at([0])


def test_other_files_may_come(folder):
    with video.open(folder) as reader:
        (folder / "notes.txt").write_text("cut from 0:12")
        Image.new("L", (7, 5)).save(folder / "flow_x_00001.jpg")
        assert reader.frames_at([1, 4])[:, 0, 0, 0].tolist() == [80, 200]


def test_a_gap_that_was_there_stays_a_gap(folder):
    (folder / "img_003.png").unlink()
    with video.open(folder, on_error="skip") as reader:
        assert reader.frames_at([2])[0, 0, 0, 0] == 80  # its neighbour's


def test_a_picture_that_is_written_while_it_is_read(folder, monkeypatch):
    file = folder / "img_002.png"
    age(file)
    read = frame_folder._read_picture

    def then_change(file, color):
        picture = read(file, color)
        grow(file, folder / "img_003.png")
        return picture

    monkeypatch.setattr(frame_folder, "_read_picture", then_change)
    with (
        video.open(folder, on_error="skip") as reader,
        pytest.raises(VideoError, match=r"img_002\.png: it grew from"),
    ):
        reader.frames_at([1])


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_disk_that_fails_under_a_picture(folder, on_error, monkeypatch):
    def fail(file, color):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))

    monkeypatch.setattr(frame_folder, "_read_picture", fail)
    with (
        video.open(folder, on_error=on_error) as reader,
        pytest.raises(
            VideoError, match=r"img_001\.png: the disk or the network fails \(Input/output error\), the video"
        ),
    ):
        reader.frames_at([0])


class FailingDisk(io.RawIOBase):
    """Gives nothing out."""

    def readinto(self, buffer) -> int:
        """Fail."""
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def readable(self) -> bool:
        """It could have been."""
        return True


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_disk_that_fails_under_a_video(path, on_error, monkeypatch):
    """FFmpeg says the same of some damaged files: reading the file through decides."""
    with video.open(path, on_error=on_error) as reader:
        reader._errors.append(disk_error())
        assert reader.frames_at([0]).shape == (
            1,
            3,
            48,
            64,
        )  # the disk is well, and the second look finds no damage
        monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: FailingDisk())
        reader._errors.append(disk_error())
        with pytest.raises(VideoError, match=r"a\.mp4: the disk or the network fails \(Input/output error\)"):
            reader._tell_damage()


def disk_error() -> ReadError:
    """What the decoder puts on record."""
    return ReadError(None, f"the file breaks off: {os.strerror(errno.EIO)}")


def test_other_reasons_do_not_read_the_file(tmp_path):
    require_disk(tmp_path / "missing.mp4", "Invalid data found when processing input")
    with pytest.raises(VideoError, match=r"missing\.mp4: the disk or the network fails \(No such file"):
        require_disk(tmp_path / "missing.mp4", "Stale file handle")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (FileState(5, 70, 1), ""),
        (FileState(5, 70, 2), ""),  # some network file systems number anew
        (FileState(5, 71, 1), "it was written to"),
        (FileState(5, 69, 1), "it was written to"),
        (FileState(4, 70, 1), "it shrank from 5 to 4 bytes"),
        (FileState(9, 80, 2), "another file has its place"),
        (None, "it is gone"),
    ],
)
def test_what_is_a_change(after, expected):
    assert change(FileState(5, 70, 1), after) == expected


def test_a_cache_that_is_deleted(path, tmp_path, caplog):
    cache = ClipCache(tmp_path / "cache", gigabytes=1)
    frames = cache.open(path).frames_at([0, 13])
    kept = cache.open(path)
    shutil.rmtree(tmp_path / "cache")
    assert kept.frames_at([0, 13]).equal(frames)  # an open file stays
    assert cache.open(path).frames_at([0, 13]).equal(frames)
    assert "decoded videos cannot be kept there" in caplog.text


def test_a_cache_that_is_deleted_before_a_video_is_written_to_it(path, tmp_path, monkeypatch, caplog):
    cache, asked = ClipCache(tmp_path / "cache", gigabytes=1), []
    has_room = ClipCache._has_room

    def then_delete(self, num_bytes):
        room = has_room(self, num_bytes)
        asked.append(room)
        if len(asked) == 2:  # once before it is decoded, once behind
            shutil.rmtree(tmp_path / "cache")
        return room

    monkeypatch.setattr(ClipCache, "_has_room", then_delete)
    assert cache.open(path).frames_at([7]).shape == (1, 3, 48, 64)
    assert asked == [True, True]
    assert "decoded videos cannot be kept there" in caplog.text
