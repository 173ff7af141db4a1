"""Files that claim more than memory has: each ends in an error that names the limit, and costs little."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from interlace.data import video
from interlace.data.annotations import AnnotationError, read_annotations
from interlace.data.annotations.class_names import read_class_names
from interlace.data.audio import read_seconds_of_sound
from interlace.data.limits import LIMITS, Limit
from interlace.data.mp4_samples import claimed_samples
from interlace.data.video import VideoError

LITTLE_MB = 60.0
Bomb = Callable[[Path, Callable[..., Path]], Path]
Outcome = Callable[[Callable[[], object]], Any]
"""What a call in a process of its own comes to: see tests/bounded.py."""


def patched(path: Path, table: bytes, *numbers: tuple[int, int]) -> Path:
    """Write (offset behind the name of a box, number) into an MP4."""
    content = bytearray(path.read_bytes())
    place = content.index(
        table, content.index(b"moov")
    )  # the names of brands before it are as those of boxes
    for offset, number in numbers:
        struct.pack_into(">I", content, place + offset, number)
    path.write_bytes(content)
    return path


def samples_of_one_size(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """A hundred million frames of one byte, in a table of one number."""
    path = make_video(tmp_path / "sizes.mp4", num_frames=4)
    for table, numbers in {
        b"stsz": ((8, 1), (12, 10**8)),
        b"stts": ((12, 10**8),),
        b"stsc": ((16, 10**8),),
    }.items():
        patched(path, table, *numbers)
    return path


def samples_of_a_fragment(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """The same in a fragment whose samples have nothing of their own."""
    whole, path = make_video(tmp_path / "whole.mp4", num_frames=4), tmp_path / "fragment.mp4"
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=options) as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = track
                target.mux(packet)
    return patched(path, b"trun", (4, 1), (8, 10**8))


def huge_gif(tmp_path: Path, _: object) -> Path:
    """400 million pixels of one color in 300 kB."""
    path = tmp_path / "huge.gif"
    if not path.exists():
        content = bytearray()
        Image.new("L", (16, 16)).save(path)
        content += path.read_bytes()
        struct.pack_into("<HH", content, 6, 20000, 20000)  # the screen; its only picture is as large
        place = content.index(b"\x2c")
        struct.pack_into("<HH", content, place + 5, 20000, 20000)
        path.write_bytes(content)
    return path


def far_apart(tmp_path: Path, _: object) -> Path:
    """Two frames, the second shown eleven days after the first."""
    path = tmp_path / "days.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for pts in (0, 25 * 950_000):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 25)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("bomb", "variable", "claimed"),
    [
        (samples_of_one_size, "INTERLACE_MAX_FRAMES", "25000000 frames"),
        (samples_of_a_fragment, "INTERLACE_MAX_FRAMES", "25000000 frames"),
        (huge_gif, "INTERLACE_MAX_PIXELS=67108864", "more pixels"),
        (far_apart, "INTERLACE_MAX_SECONDS", "950000 seconds of video"),
    ],
)
def test_a_video_that_claims_too_much(
    outcome: Outcome, tmp_path: Path, make_video: Callable[..., Path], bomb: Bomb, variable: str, claimed: str
) -> None:
    path = bomb(tmp_path, make_video)
    found = outcome(lambda: video.open(path).frames_at([0]))
    assert found.kind == "VideoError"
    assert str(path) in found.message
    assert variable in found.message
    assert claimed in found.message
    assert found.grown_mb < LITTLE_MB


def test_frames_are_counted_while_the_index_is_made(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("packets.mp4", "packets.mkv", "decoded.mpg"):
        path = make_video(
            tmp_path / name,
            num_frames=24,
            codec="mpeg2video" if name.endswith("mpg") else "libx264",
            fps=25.0,
        )
        monkeypatch.setenv("INTERLACE_MAX_FRAMES", "24")
        with video.open(path) as reader:
            assert reader.num_frames == 24
        monkeypatch.setenv("INTERLACE_MAX_FRAMES", "23")
        with pytest.raises(VideoError, match=r"24 frames; at most 23 are read.*INTERLACE_MAX_FRAMES higher"):
            video.open(path)


def test_frames_larger_than_the_limit(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg2video")):
        path = make_video(tmp_path / name, num_frames=4, codec=codec, fps=25.0)
        monkeypatch.setenv("INTERLACE_MAX_PIXELS", "3072")
        assert video.open(path).frames_at([0]).shape == (1, 3, 48, 64)
        monkeypatch.setenv("INTERLACE_MAX_PIXELS", "3071")
        with pytest.raises(VideoError, match=rf"{name}: .*INTERLACE_MAX_PIXELS"):
            video.open(path).frames_at([0])


def test_a_limit_that_is_no_number(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=2)
    for text in ("many", "-1", "0", "1e9", "9" * 30):
        monkeypatch.setenv("INTERLACE_MAX_PIXELS", text)
        with pytest.raises(ValueError, match=f"INTERLACE_MAX_PIXELS='{text}' is no limit"):
            video.open(path)


def test_every_limit_can_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in LIMITS:
        limit.check("a.mp4", limit.default, ValueError)
        with pytest.raises(ValueError, match=f"a.mp4: .*{limit.variable}"):
            limit.check("a.mp4", limit.default + 1, ValueError)
        monkeypatch.setenv(limit.variable, str(limit.default + 1))
        limit.check("a.mp4", limit.default + 1, ValueError)
    assert len({limit.variable for limit in LIMITS}) == len(LIMITS)
    assert all(isinstance(limit, Limit) for limit in LIMITS)


def test_a_picture_of_400_million_pixels(outcome: Outcome, tmp_path: Path) -> None:
    """Its header is patched: no need to write them."""
    (tmp_path / "clip").mkdir()
    for number, side in (
        (1, 8500),
        (2, 11000),
        (3, 20000),
    ):  # above ours; where Pillow warns; where it refuses
        folder = tmp_path / str(number)
        folder.mkdir()
        picture = folder / "img_1.png"
        Image.new("L", (16, 16)).save(picture)
        content = bytearray(picture.read_bytes())
        struct.pack_into(">II", content, 16, side, side)
        struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
        picture.write_bytes(content)
        found = outcome(lambda folder=folder: video.open(folder).frames_at([0]))
        assert found.kind == "VideoError"
        assert str(folder) in found.message
        assert "INTERLACE_MAX_PIXELS" in found.message or "decompression bomb" in found.message
        assert found.grown_mb < LITTLE_MB


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_two_pictures_with_a_gap_of_billions(
    outcome: Outcome, tmp_path: Path, on_error: video.OnError
) -> None:
    for name in ("img_1.png", f"img_{10**15}.png"):
        Image.new("L", (7, 5)).save(tmp_path / name)
    found = outcome(lambda: video.open(tmp_path, on_error=on_error))
    assert found.kind == "VideoError"
    assert "1000000000000000 frames; at most 2160000" in found.message
    assert found.grown_mb < LITTLE_MB


def test_a_folder_of_too_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLACE_MAX_FRAMES", "5")
    for number in range(21):
        (tmp_path / f"img_{number}.jpg").touch()
    with pytest.raises(VideoError, match=r"21 frames; at most 5 .*INTERLACE_MAX_FRAMES"):
        video.open(tmp_path)


@pytest.mark.parametrize(
    "template",
    ["{:>9999999999}", "{0.__class__}", "{:0999d}.jpg", "{0!r}", "img_{:05d}_{:05d}.jpg", "img.jpg", "{a}"],
)
def test_a_template_that_asks_for_more_than_a_number(outcome: Outcome, tmp_path: Path, template: str) -> None:
    Image.new("L", (7, 5)).save(tmp_path / "img_1.png")
    found = outcome(lambda: video.open(tmp_path, frame_template=template))
    assert "no template" in found.message or "no picture is named like" in found.message
    assert found.grown_mb < LITTLE_MB


def test_pipes_and_devices_are_no_videos_pictures_or_lists(outcome: Outcome, tmp_path: Path) -> None:
    pipe = tmp_path / "endless.mp4"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        assert "is not a file" in outcome(lambda path=path: video.open(path)).message
        assert "a pipe or a device" in outcome(lambda path=path: read_annotations(tmp_path, path)).message
    clip = tmp_path / "clip"
    clip.mkdir()
    os.mkfifo(clip / "img_1.jpg")
    (clip / "img_2.jpg").symlink_to("/dev/zero")
    found = outcome(lambda: video.open(clip, on_error="skip").frames_at([0, 1]))
    assert "none of its 2 frames can be decoded" in found.message
    assert "is not a file" in found.message


def test_a_picture_that_would_start_another_program(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript."""
    (tmp_path / "img_1.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(VideoError, match="cannot identify image file"):
        video.open(tmp_path).frames_at([0])


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.mp4\n",
    ],
)
def test_a_list_of_further_files_is_no_video(
    tmp_path: Path, make_video: Callable[..., Path], text: str
) -> None:
    make_video(tmp_path / "other.mp4", num_frames=4)
    path = tmp_path / "clip.mp4"
    path.write_text(text)
    with pytest.raises(VideoError, match=r"clip\.mp4: not a video that FFmpeg can read"):
        video.open(path)


def test_folders_within_each_other_without_end(outcome: Outcome, tmp_path: Path) -> None:
    here, deep = Path.cwd(), 1200  # deeper than Python calls itself
    os.chdir(tmp_path)
    try:
        for _ in range(deep):
            Path("d").mkdir()
            os.chdir("d")
        found = outcome(lambda: video.find_videos(tmp_path))
        for _ in range(deep):
            os.chdir("..")
            Path("d").rmdir()
    finally:
        os.chdir(here)
    assert found.kind == "VideoError"
    assert "65 folders within each other; at most 64" in found.message
    assert "INTERLACE_MAX_DEPTH" in found.message


def test_sound_for_a_year(outcome: Outcome, tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=4)
    found = outcome(lambda: read_seconds_of_sound(path, sample_rate_hz=16000, num_seconds=31_536_000))
    assert "31536000 seconds of sound; at most 14400" in found.message
    assert found.grown_mb < LITTLE_MB


def test_sound_at_one_hertz_is_not_blown_up(
    outcome: Outcome, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    """Half a million samples, of which resampling would make 8 billion."""
    path = tmp_path / "slow.mkv"
    with (
        av.open(str(make_video(tmp_path / "a.mp4", num_frames=4))) as source,
        av.open(str(path), "w") as target,
    ):
        pictures = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.ones((1, 500_000), np.int16), format="s16", layout="mono")
        samples.sample_rate, samples.pts = 8000, 0
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                target.mux(packet)
        for packet in [*sound.encode(samples), *sound.encode(None)]:
            target.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack(">d", 8000.0), struct.pack(">d", 1.0), 1))
    assert path.read_bytes() != content
    found = outcome(lambda: read_seconds_of_sound(path, sample_rate_hz=16000, num_seconds=3))
    assert found.kind == ""
    assert found.grown_mb < LITTLE_MB
    notes = read_seconds_of_sound(path, sample_rate_hz=16000, num_seconds=3).notes
    assert any("a rate of 1 Hz" in note for note in notes)


def test_lists_within_lists_without_end(outcome: Outcome, tmp_path: Path) -> None:
    for name, text in (
        ("list.json", "[" * 100_000),
        ("items.json", "[" + "[" * 100_000),
        ("long.json", "[" + "9" * 10_000 + "]"),
    ):
        file = tmp_path / name
        file.write_text(text)
        for format in ("something_v2", "auto"):
            found = outcome(lambda file=file, format=format: read_annotations(tmp_path, file, format=format))
            assert found.kind == "AnnotationError"
            assert str(file) in found.message
        assert outcome(lambda file=file: read_class_names(file)).kind == "AnnotationError"


def test_a_list_with_a_line_of_a_gigabyte(outcome: Outcome, tmp_path: Path) -> None:
    """The file has a hole, which takes no room on the disk."""
    file = tmp_path / "train.csv"
    file.write_text("path,label\n")
    os.truncate(file, 2**30)
    found = outcome(lambda: read_annotations(tmp_path, file))
    assert found.kind == "AnnotationError"
    assert "1073741824 bytes of text; at most 134217728" in found.message
    assert found.grown_mb < LITTLE_MB


def test_a_cell_of_a_megabyte(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text(f"path,label\n{'a' * 10**6}.mp4,wave\n")
    with pytest.raises(AnnotationError, match=r"train\.csv:2: .*field larger than field limit"):
        read_annotations(tmp_path, file, format="csv")


def test_tables_of_real_files_are_counted(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    assert claimed_samples(make_video(tmp_path / "a.mp4", num_frames=7)) == 7
    assert claimed_samples(make_video(tmp_path / "a.mov", num_frames=9)) == 9
    assert claimed_samples(make_video(tmp_path / "a.mkv", num_frames=9)) == 0
    (tmp_path / "short.mp4").write_bytes(b"\0\0\0\x08ftyp\0\0")
    assert claimed_samples(tmp_path / "short.mp4") == 0
