from __future__ import annotations

import gc
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from interlace.data import video, video_file
from interlace.data.pixels import to_array, upright
from interlace.data.video import VideoError

UNREADABLE = {
    "empty.flv": "not a video that FFmpeg can read",
    "not_a_video.mp4": "not a video that FFmpeg can read",
    "zero_bytes.webm": "the file is empty",
}
UPRIGHT = {  # (frames, height, width)
    "-video-with-dash-.mp4": (5, 1, 1),
    "05_default_juggle.mp4": (247, 720, 1280),
    "Test.ogv": (443, 300, 400),
    "av1_video.mkv": (125, 360, 640),
    "awesome movie.mov": (123, 480, 640),
    "big_buck_bunny_432_433.webm": (24, 720, 1280),
    "bitmap.mp4": (5, 1, 1),
    "bt709_full_range.mp4": (30, 720, 1280),
    "carphone_distorted.mp4": (120, 144, 176),
    "corrupted.mp4": (50, 720, 1280),
    "demo.mp4": (280, 256, 340),
    "fire2.mp4": (25, 720, 1280),
    "h264_10bits.mp4": (30, 200, 200),
    "h265_video.mp4": (10, 128, 128),
    "ios9.mov": (14, 1280, 720),
    "nasa_13013.mp4": (390, 270, 480),
    "no_duration.webm": (74, 720, 1280),
    "realshort.mp4": (36, 240, 320),
    "sideways movie.mov": (25, 640, 480),
    "test.avi": (164, 240, 320),
    "transparent.webm": (150, 200, 200),
    "video_0.mov": (3, 320, 568),
    "video_180.mov": (3, 320, 568),
    "video_270.mov": (3, 568, 320),
    "video_90.mov": (3, 568, 320),
}


def encode(
    path: Path, codec: str, *, num_frames: int = 40, pix_fmt: str = "yuv420p", gop: int = 8, **options: str
) -> Path:
    """Frame i: textured, moving, with a top band whose level is 6 * i."""
    texture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.codec_context.gop_size = gop
        for i in range(num_frames):
            picture = np.ascontiguousarray(texture[i : i + 48, 2 * i : 2 * i + 64])
            picture[:16] = 6 * i
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def levels(clip: torch.Tensor) -> list[float]:
    """The level of each frame's top band, in frames."""
    return (clip[:, :, :12].float().mean((1, 2, 3)) / 6).tolist()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("open_gop.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
        ("refresh.mkv", "libx264", {"x264-params": "intra-refresh=1:keyint=10"}),  # its key frames are none
        ("b_frames.avi", "mpeg4", {"bf": "2"}),
        ("plain.avi", "mpeg4", {}),
        ("raw.h264", "libx264", {}),
        ("stream.ts", "libx264", {}),
        ("program.mpg", "mpeg2video", {"bf": "2"}),
        ("vp8.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
        ("flash.flv", "flv", {}),
        ("lossless.mkv", "ffv1", {}),
    ],
)
def test_any_frames_equal_those_of_a_full_decode(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, codec, **options)
    with av.open(str(path)) as container:
        expected = [
            to_array(f, av.video.reformatter.VideoReformatter(), "rgb", (64, 48))
            for f in container.decode(video=0)
        ]
    draw = random.Random(0)
    with video.open(path) as reader:
        assert reader.num_frames == len(expected) == 40
        rate = 25 if name == "raw.h264" else 20  # without timestamps FFmpeg takes 25
        assert reader.duration_seconds == pytest.approx(40 / rate, abs=0.002)
        assert reader.pts_seconds.tolist() == pytest.approx([i / rate for i in range(40)], abs=0.002)
        for _ in range(12):
            indices = [draw.randrange(40) for _ in range(draw.choice([1, 2, 5]))]
            clip = reader.frames_at(indices)
            assert clip.dtype == torch.uint8
            for frame, index in zip(clip, indices, strict=True):
                assert np.array_equal(frame.permute(1, 2, 0).numpy(), expected[index]), indices
        assert levels(reader.frames_at([3, 30, 17])) == pytest.approx([3, 30, 17], abs=0.9)


def test_a_far_frame_is_reached_by_a_seek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.mp4", "libx264")
    decoded = []
    by_time = video_file._by_time

    def counting(*args):
        for position, frame in by_time(*args):
            decoded.append(position)
            yield position, frame

    monkeypatch.setattr(video_file, "_by_time", counting)
    with video.open(path) as reader:
        reader.frames_at([1, 34])
    assert decoded == [0, 1, 32, 33, 34]


def test_pictures_kept_for_reference_alone_are_not_counted(tmp_path: Path) -> None:
    """VP8 in WebM: mark one packet as not to be shown, as an encoder does with its golden frames."""
    source, hidden = (
        encode(tmp_path / "source.webm", "libvpx", **{"auto-alt-ref": "0"}),
        tmp_path / "hidden.webm",
    )
    with av.open(str(source)) as read, av.open(str(hidden), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(p for p in read.demux(video=0) if p.size):
            data = bytearray(bytes(packet))
            if number == 3:
                data[0] &= ~0x10
            copy = av.Packet(bytes(data))
            copy.pts, copy.dts, copy.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
            copy.time_base, copy.stream = packet.time_base, stream
            write.mux(copy)
    with video.open(hidden) as reader:
        assert reader.num_frames == 39
        assert levels(reader.frames_at([2, 3, 38])) == pytest.approx([2, 4, 39], abs=0.9)


def test_frames_outside_the_edit_list_are_not_counted(tmp_path: Path) -> None:
    """MP4 that starts before its first shown frame: negative times are cut away by an edit list."""
    source, trimmed = encode(tmp_path / "source.mp4", "libx264", gop=40), tmp_path / "trimmed.mp4"
    with av.open(str(source)) as read, av.open(str(trimmed), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        cut = int(10 / 20 / read.streams.video[0].time_base)
        for packet in read.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts - cut, packet.dts - cut
                packet.stream = stream
                write.mux(packet)
    with video.open(trimmed) as reader:
        decoded = reader.frames_at(range(reader.num_frames))
        assert reader.num_frames == 30
        assert reader.pts_seconds[0] == 0
        assert levels(decoded) == pytest.approx(range(10, 40), abs=0.9)
        assert torch.equal(reader.frames_at([20]), decoded[[20]])


def test_a_stream_cut_before_its_first_key_frame_counts_what_decodes(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.ts", "libx264").read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(whole[188 * 20 :])
    with video.open(path) as reader:
        assert 0 < reader.num_frames < 40
        assert levels(reader.frames_at([reader.num_frames - 1])) == pytest.approx([39], abs=0.9)


def test_damage_raises_or_the_nearest_frame_stands_in(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx264", bf="0")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        victim = [p for p in container.demux(video=0) if p.size][20]
        start = bytes(content).index(bytes(victim))
        content[start : start + victim.size] = b"\xff" * victim.size
    path.write_bytes(content)
    with video.open(path) as reader, pytest.raises(VideoError, match=r"a.mkv: frame 20 of 40 .*on_error"):
        reader.frames_at([20])
    with video.open(path, on_error="skip") as reader:
        clip = reader.frames_at([0, 20, 39])
        assert levels(clip) == pytest.approx([0, 19, 39], abs=0.9)
        assert reader.is_damaged


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "libx264")
    with (
        av.open(str(path)) as read,
        av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(VideoError, match=r"b.mp4: damaged after \d+ readable frames"):
        video.open(tmp_path / "b.mp4")
    with video.open(tmp_path / "b.mp4", on_error="skip") as reader:
        assert 10 < reader.num_frames < 40
        assert any(note.startswith("cut off? It holds") for note in reader.notes)
        assert levels(reader.frames_at([5])) == pytest.approx([5], abs=0.9)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[1, 0], [0, 1]], [[0, 1, 2], [3, 4, 5]]),
        ([[0, 1], [-1, 0]], [[3, 0], [4, 1], [5, 2]]),  # a quarter turn clockwise
        ([[-1, 0], [0, -1]], [[5, 4, 3], [2, 1, 0]]),
        ([[0, -1], [1, 0]], [[2, 5], [1, 4], [0, 3]]),
        ([[-1, 0], [0, 1]], [[2, 1, 0], [5, 4, 3]]),  # mirrored
        ([[1, 0], [0, -1]], [[3, 4, 5], [0, 1, 2]]),
        ([[0, 1], [1, 0]], [[0, 3], [1, 4], [2, 5]]),  # turned and mirrored
    ],
)
def test_display_matrix(matrix: list[list[int]], expected: list[list[int]]) -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert upright(picture, 65536 * np.array(matrix))[..., 0].tolist() == expected


@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (2, 0.299, 0.114)])
@pytest.mark.parametrize("is_full", [True, False])
def test_color_matrix_and_range(matrix: int, kr: float, kb: float, is_full: bool) -> None:
    frame = av.VideoFrame(16, 16, "yuv444p")
    y, u, v = 120, 100, 160
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, 2 if is_full else 1
    luma, chroma = (y, 1.0) if is_full else ((y - 16) * 255 / 219, 255 / 224)
    red = luma + 2 * (1 - kr) * (v - 128) * chroma
    blue = luma + 2 * (1 - kb) * (u - 128) * chroma
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    rgb = to_array(frame, av.video.reformatter.VideoReformatter(), "rgb", (16, 16))
    assert rgb[5, 5].tolist() == pytest.approx([red, green, blue], abs=1.5)
    gray = to_array(frame, av.video.reformatter.VideoReformatter(), "gray", (16, 16))
    assert gray.shape == (16, 16, 1)
    assert gray[5, 5, 0] == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue, abs=1.5)


@pytest.mark.parametrize("pix_fmt", ["gray", "rgb24", "yuv420p10le", "yuva420p"])
def test_pixel_formats(tmp_path: Path, pix_fmt: str) -> None:
    name, codec = ("a.mov", "png") if pix_fmt == "rgb24" else ("a.mkv", "ffv1")
    with video.open(encode(tmp_path / name, codec, pix_fmt=pix_fmt)) as reader:
        assert levels(reader.frames_at([7, 35])) == pytest.approx([7, 35], abs=0.9)
        assert ("the alpha channel is dropped" in reader.notes) == (pix_fmt == "yuva420p")


@pytest.mark.parametrize("name", ["-dash.mp4", "with space.mp4", "clip:1.mp4", "100%d é.mp4"])
def test_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_video: Callable[..., Path], name: str
) -> None:
    make_video(tmp_path / "plain.mp4", num_frames=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with video.open(name) as reader:
        assert reader.num_frames == 3


def test_requests_out_of_range_and_none(make_video: Callable[..., Path], tmp_path: Path) -> None:
    with video.open(make_video(tmp_path / "a.mp4", num_frames=5, size=(48, 64))) as reader:
        assert reader.frames_at([]).shape == (0, 3, 48, 64)
        for index in (5, -1):
            with pytest.raises(VideoError, match=f"no frame {index}; ask for frames 0 to 4"):
                reader.frames_at([index])
    with pytest.raises(VideoError, match="closed"):
        reader.frames_at([0])


def test_errors_say_what_and_which(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    for name, reason in {
        "text.mp4": "not a video",
        "empty.mp4": "0 bytes",
        "sound.wav": "no video track",
        "none.mp4": "there is no such file",
    }.items():
        with pytest.raises(VideoError, match=f"{name}: .*{reason}.*; "):
            video.open(tmp_path / name)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files through /proc")
def test_files_are_closed(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4")

    def opened() -> bool:
        return any(path.samefile(link) for link in Path("/proc/self/fd").iterdir() if link.exists())

    reader = video.open(path)
    reader.frames_at([3])
    assert opened()
    gc.disable()
    try:
        del reader
        assert not opened()  # at once, without the cycle collector
    finally:
        gc.enable()
    with pytest.raises(RuntimeError, match="stop"), video.open(path):
        raise RuntimeError("stop")
    assert not opened()


class _Middle(Dataset[torch.Tensor]):
    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        with video.open(self.path) as reader:
            return reader.frames_at([index])


def test_in_data_workers(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=6)
    with video.open(path) as reader:  # the parent has used FFmpeg before its workers are forked
        expected = reader.frames_at(range(4))
    loader = DataLoader(_Middle(path), batch_size=2, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)).squeeze(1), expected)


def test_find_videos(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    b = make_video(tmp_path / "b" / "x.mp4", num_frames=2)
    a = make_video(tmp_path / "A.MP4", num_frames=2)
    pictures = tmp_path / "c" / "frames"
    pictures.mkdir(parents=True)
    (pictures / "00001.jpg").touch()
    (tmp_path / "._hidden.mp4").touch()
    (tmp_path / "notes.txt").touch()
    assert video.find_videos(tmp_path) == [a, b, pictures]
    assert video.find_videos(pictures) == [pictures]
    assert video.is_video("x/Y.WebM")
    assert not video.is_video("list.csv")
    (tmp_path / "d").mkdir()
    with pytest.raises(VideoError, match="no video file"):
        video.find_videos(tmp_path / "d")
    with pytest.raises(VideoError, match="no such folder"):
        video.find_videos(tmp_path / "e")


def test_a_stray_picture_makes_no_video_of_its_folder(tmp_path: Path) -> None:
    for name in (
        "a/x.mp4",
        "a/thumb.jpg",
        "b/y.mp4",
        "b/y_00001.jpg",
        "c/thumb.jpg",
        "c/z/1.png",
        "c/z/2.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in video.find_videos(tmp_path)]
    assert found == ["a/x.mp4", "b/y.mp4", "c/z"]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (elsewhere / "x.mp4").touch()
    (root / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (root / "self").symlink_to(root)
    (root / "gone.mp4").symlink_to(tmp_path / "nowhere")
    assert video.find_videos(root) == [root / "link" / "x.mp4"]


@pytest.mark.real_data
@pytest.mark.parametrize("name", UPRIGHT)
def test_odd_video(data_dir: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(1)
    with video.open(data_dir / "odd_videos" / name, on_error="skip") as reader:
        num_frames = reader.num_frames
        assert (num_frames, reader.height, reader.width) == UPRIGHT[name]
        stop = min(num_frames, 60)
        sequential = reader.frames_at(range(stop))
        for _ in range(3):
            indices = [draw.randrange(stop) for _ in range(2)]
            assert torch.equal(reader.frames_at(indices), sequential[indices])
        last = reader.frames_at([num_frames - 1])
        assert torch.equal(reader.frames_at([0, num_frames - 1]), torch.cat([sequential[:1], last]))
        assert reader.pts_seconds.diff().min() > 0
    assert capfd.readouterr().err == ""


@pytest.mark.real_data
@pytest.mark.parametrize("name", UNREADABLE)
def test_odd_file_without_video(data_dir: Path, name: str) -> None:
    for on_error in ("raise", "skip"):
        with pytest.raises(VideoError, match=f"{name}: {UNREADABLE[name]}"):
            video.open(data_dir / "odd_videos" / name, on_error=on_error)  # type: ignore[arg-type]


@pytest.mark.real_data
def test_corrupted_video(data_dir: Path) -> None:
    path = data_dir / "odd_videos" / "corrupted.mp4"
    with (
        video.open(path) as reader,
        pytest.raises(VideoError, match=r"corrupted.mp4: frame 30 of 50 .*on_error"),
    ):
        reader.frames_at([49])
    with video.open(path, on_error="skip") as reader:
        clip = reader.frames_at([29, 30, 31])
        assert torch.equal(clip[1], clip[0])
        assert reader.damaged_frames() == [30]
        assert any("1 of 50 frames damaged (30)" in note for note in reader.notes)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("nasa_13013.mp4", "2 audio tracks, stream 4 is used"),
        ("transparent.webm", "the alpha channel is dropped"),
        ("ios9.mov", "turned by 90 degrees, made upright"),
        ("fire2.mp4", "turned by 180 degrees, made upright"),
    ],
)
def test_notes(data_dir: Path, name: str, note: str) -> None:
    with video.open(data_dir / "odd_videos" / name) as reader:
        reader.frames_at([0])
        assert note in reader.notes
