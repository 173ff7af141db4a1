from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest
import torch

from interlace.data import video
from interlace.streaming.video_sink import VideoSink


def picture(level: int, size: tuple[int, int] = (30, 46)) -> torch.Tensor:
    """Reddish above, bluish below."""
    result = torch.full((3, *size), level, dtype=torch.uint8)
    result[0, : size[0] // 2] += 60
    result[2, size[0] // 2 :] += 60
    return result


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    times = [0.0, 0.1, 0.25, 1.4]
    pictures = [picture(40 * i) for i in range(1, 5)]
    with VideoSink(path, 10.0, 30, 46) as sink:
        for one, time in zip(pictures, times, strict=True):
            sink.write(one, time)
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == [name]
    with video.open(path) as reader:
        assert reader.pts_seconds.tolist() == pytest.approx(times, abs=1e-3)  # Matroska counts milliseconds
        assert reader.duration_seconds == pytest.approx(1.5, abs=2e-3)
        difference = (reader.frames_at(range(4)).float() - torch.stack(pictures).float()).abs()
    assert difference.mean() < 3  # also of the colors


def test_times_count_on_by_themselves_and_always_rise(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", 20.0, 30, 46) as sink:
        for time in (None, None, None, 0.05, 0.5):  # the fourth is not after the third
            sink.write(picture(90), time)
        assert sink.num_frames == 5
    with video.open(tmp_path / "a.mp4") as reader:
        assert reader.pts_seconds.tolist() == pytest.approx([0.0, 0.05, 0.1, 0.1, 0.5], abs=1e-4)
        assert reader.pts_seconds[3] > reader.pts_seconds[2]


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (30, 47), (33, 46)])
def test_odd_sides_are_doubled_at_the_end(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoSink(tmp_path / "a.mp4", 5.0, *size) as sink:
        sink.write(torch.full((1, *size), 120, dtype=torch.uint8))
    with video.open(tmp_path / "a.mp4") as reader:
        assert (reader.height, reader.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert (reader.frames_at([0]).int() - 120).abs().max() <= 2


def test_pictures_of_another_size_are_stretched(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", 5.0, 30, 46) as sink:
        sink.write(picture(90))
        sink.write(picture(90, (61, 81)))
    with video.open(tmp_path / "a.mp4") as reader:
        first, second = reader.frames_at([0, 1]).float()
    assert (first - second).abs().mean() < 4


def test_after_ctrl_c_there_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = VideoSink(path, 5.0, 30, 46)

    def write() -> None:
        with sink:
            for _ in range(3):
                sink.write(picture(90))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    with video.open(path) as reader:
        assert reader.num_frames == 3


def test_ctrl_c_while_it_is_finished_leaves_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    sink = VideoSink(tmp_path / "a.mp4", 5.0, 30, 46)
    for _ in range(60):
        sink.write(picture(90))
    monkeypatch.setattr(sink, "_encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sink.close()
    with video.open(tmp_path / "a.mp4") as reader:
        assert 10 <= reader.num_frames < 60
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_without_a_picture_the_earlier_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("earlier")
    with VideoSink(path, 5.0, 30, 46):
        pass
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_leaves_can_be_played(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", 5.0, 30, 46) as sink:
        for _ in range(60):
            sink.write(picture(90))
        (beside,) = tmp_path.glob(".a.mp4.*.part")
        shutil.copy(beside, tmp_path / "left.mp4")
    with video.open(tmp_path / "left.mp4", on_error="skip") as reader:
        assert 20 <= reader.num_frames < 60
        assert (reader.frames_at([15]).float() - picture(90)).abs().mean() < 3


def test_mpeg_4_where_there_is_no_h264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with VideoSink(tmp_path / "a.mp4", 30.0, 30, 46) as sink:
        for _ in range(4):
            sink.write(picture(90))
    with video.open(tmp_path / "a.mp4") as reader:
        assert reader.pts_seconds.tolist() == pytest.approx([0.0, 1 / 30, 2 / 30, 0.1], abs=1e-4)
        assert (reader.frames_at([3]).float() - picture(90)).abs().mean() < 4


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.gif: no kind of video .* \.mp4, \.m4v, \.mov, \.mkv"):
        VideoSink(tmp_path / "a.gif", 5.0, 30, 46)
    with pytest.raises(ValueError, match="no video of 0 x 46 pixels at 5 frames a second"):
        VideoSink(tmp_path / "a.mp4", 5.0, 0, 46)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match="it is a folder"):
        VideoSink(tmp_path / "folder.mp4", 5.0, 30, 46)
    with VideoSink(tmp_path / "a.mp4", 5.0, 30, 46) as sink:
        sink.write(picture(90))
        with pytest.raises(ValueError, match="a picture of 2 channels"):
            sink.write(picture(90)[:2])
    with pytest.raises(ValueError, match="the video is closed"):
        sink.write(picture(90))
    with video.open(tmp_path / "a.mp4") as reader:
        assert reader.num_frames == 1
