from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import torch

from interlace.data import video
from interlace.data.audio import Sound, read_seconds_of_sound, silence
from interlace.data.first_frame import first_frame_seconds
from interlace.data.video import VideoError

RATE = 16000
FPS = 10


class Track(NamedTuple):
    """Sound to write: a tone burst of 5 ms at each of the times ``clicks``, counted from the track's own start."""

    clicks: Sequence[float] = (0.5, 1.25)
    seconds: float = 2.0
    codec: str = "pcm_s16le"
    rate: int = 16000
    layout: str = "mono"
    begins: float = 0.0
    level: Sequence[float] = (0.8,)
    lost: tuple[float, float] = (-1.0, -1.0)
    """Packets that begin within are left out."""


def wave(track: Track) -> np.ndarray:
    """(C, samples): each click rings at 2 kHz and is loud at once, so that its beginning can be found."""
    mono = np.zeros(round(track.seconds * track.rate), dtype=np.float32)
    ring = np.sin(2 * np.pi * 2000 * (np.arange(track.rate // 200) + 0.5) / track.rate)
    for click in track.clicks:
        first = round(click * track.rate)
        mono[first : first + len(ring)] = ring[: len(mono) - first]
    return np.array(track.level, dtype=np.float32)[:, None] * mono


def write(path: Path, *tracks: Track, num_frames: int = 20, video_begins: float = 0.0) -> Path:
    """A file of 2 s of grey pictures and tracks of sound, their packets in the order of time."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=FPS)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 16, "yuv420p"
        streams = [add_sound(container, track) for track in tracks]
        packets = []
        for i in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 8 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i + round(video_begins * FPS), Fraction(1, FPS)
            packets += pictures.encode(frame)
        packets += pictures.encode(None)
        for stream, track in zip(streams, tracks, strict=True):
            packets += encode(stream, track)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def add_sound(container: av.container.OutputContainer, track: Track) -> av.AudioStream:
    stream = container.add_stream(track.codec, rate=track.rate, layout=track.layout)
    assert isinstance(stream, av.AudioStream)
    return stream


def encode(stream: av.AudioStream, track: Track) -> list[av.Packet]:
    values = wave(track)
    name = stream.format.name
    scale = {"s1": 32767, "s3": 2**31 - 128, "u8": 127}.get(name[:2], 1)
    values = values * scale + (128 if name.startswith("u8") else 0)
    dtype = {"s1": np.int16, "s3": np.int32, "u8": np.uint8}.get(name[:2], np.float32)
    size = stream.codec_context.frame_size or track.rate // 50
    packets = []
    for first in range(0, values.shape[1], size):
        part = np.round(values[:, first : first + size]) if scale > 1 else values[:, first : first + size]
        part = part.astype(dtype)
        part = part if name.endswith("p") else part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=name, layout=track.layout)
        frame.sample_rate, frame.time_base = track.rate, Fraction(1, track.rate)
        frame.pts = first + round(track.begins * track.rate)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    lost = [p for p in packets if track.lost[0] <= float(p.pts * p.time_base) < track.lost[1]]
    return [packet for packet in packets if packet not in lost]


def read(path: Path, num_seconds: int = 2, rate: int = RATE, **more: float) -> Sound:
    return read_seconds_of_sound(path, sample_rate_hz=rate, num_seconds=num_seconds, **more)


def clicks_in(sound: Sound) -> list[float]:
    """When each click begins, in seconds: where the level first passes half the loudest."""
    rate = sound.samples.shape[1]
    loud = (sound.samples.flatten().abs() > sound.samples.abs().max() / 2).nonzero().flatten().tolist()
    return [i / rate for k, i in enumerate(loud) if k == 0 or i - loud[k - 1] > rate // 20]


CODECS = {  # container, codec, and how exactly the codec keeps a time
    "wave": ("mkv", "pcm_s16le", 0.001),
    "bytes": ("mov", "pcm_u8", 0.001),
    "float": ("mkv", "pcm_f32le", 0.001),
    "avi": ("avi", "pcm_s16le", 0.001),
    "flac": ("mkv", "flac", 0.001),
    "aac in mp4": ("mp4", "aac", 0.001),
    "aac in mkv": ("mkv", "aac", 0.001),
    "opus": ("mkv", "libopus", 0.001),
    "mp3": ("mp4", "libmp3lame", 0.002),
}


@pytest.mark.parametrize("name", CODECS)
def test_clicks_are_where_they_were_put(name: str, tmp_path: Path) -> None:
    container, codec, tolerance = CODECS[name]
    path = write(tmp_path / f"clip.{container}", Track(codec=codec, rate=48000))
    sound = read(path)
    assert sound.samples.shape == (2, RATE)
    assert sound.heard.tolist() == [True, True]
    assert sound.notes == ()
    assert clicks_in(sound) == pytest.approx([0.5, 1.25], abs=tolerance)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_clicks_stay_where_they_are_at_every_rate(rate: int, tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", Track(rate=rate))
    assert clicks_in(read(path)) == pytest.approx([0.5, 1.25], abs=0.001)
    assert clicks_in(read(path, rate=11025)) == pytest.approx([0.5, 1.25], abs=0.001)


def test_a_click_in_the_last_millisecond_is_not_lost_in_the_resampler(tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track(clicks=(1.998,), rate=48000)))
    assert clicks_in(sound) == pytest.approx([1.998], abs=0.001)
    assert sound.samples[1, -8:].abs().max() > 0.2


def test_a_tone_keeps_its_level_and_pitch(tmp_path: Path) -> None:
    track = Track(clicks=np.arange(0, 2, 0.005).tolist(), rate=44100)
    level = read(write(tmp_path / "clip.mkv", track)).samples[0].square().mean().sqrt().item()
    source = float(np.sqrt(np.mean(wave(track)[:, :44100] ** 2)))
    assert level == pytest.approx(source, rel=0.02)


@pytest.mark.parametrize(
    ("layout", "level", "mean"),
    [
        ("mono", (0.8,), 0.8),
        ("stereo", (0.8, 0.4), 0.6),
        ("stereo", (1.0, 1.0), 1.0),
        ("stereo", (0.8, -0.8), 0.0),
        ("5.1", (0.6, 0.6, 0.9, 0.0, 0.3, 0.0), 0.4),
    ],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "flac", "pcm_u8"])
def test_channels_are_averaged(
    codec: str, layout: str, level: tuple[float, ...], mean: float, tmp_path: Path
) -> None:
    path = write(tmp_path / "clip.mkv", Track(codec=codec, layout=layout, level=level))
    expected = mean * np.abs(wave(Track(level=(1.0,)))).max()
    assert read(path).samples.abs().max().item() == pytest.approx(expected, abs=0.01)


def test_sound_never_leaves_its_range(tmp_path: Path) -> None:
    square = Track(codec="pcm_f32le", rate=48000, level=(4.0,))
    assert read(write(tmp_path / "clip.mkv", square)).samples.abs().max() == 1


def test_samples_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", Track(codec="pcm_f32le", level=(float("nan"),)))
    sound = read(path)
    assert sound.notes == ("damaged: samples of its sound are no numbers, zeros are used",)
    assert not sound.samples.any()


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "libopus"])
def test_sound_that_starts_half_a_second_late(codec: str, tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track(begins=0.5, seconds=1.5, codec=codec, rate=48000)))
    assert clicks_in(sound) == pytest.approx([1.0, 1.75], abs=0.002)
    assert sound.heard.tolist() == [True, True]
    assert sound.notes == ("the sound begins at 0.50 s: zeros before",)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_sound_that_starts_before_the_picture(suffix: str, tmp_path: Path) -> None:
    track = Track(clicks=(0.1, 0.8, 1.5), seconds=2.5, codec="aac", rate=48000)
    path = write(tmp_path / f"clip.{suffix}", track, video_begins=0.5)
    assert clicks_in(read(path)) == pytest.approx([0.3, 1.0], abs=0.001)
    later = read(path, num_seconds=1, start_seconds=first_frame_seconds(path) + 0.25)
    assert clicks_in(later) == pytest.approx([0.05, 0.75], abs=0.001)


def test_a_track_that_changes_its_rate_and_channels_midway(tmp_path: Path) -> None:
    """What a recorder writes that joins programs: transport streams, one behind the other."""
    stereo = Track(clicks=(0.4,), seconds=1.0, codec="aac", rate=48000, layout="stereo", level=(0.8, 0.8))
    first = stereo._replace(
        begins=0.1
    )  # or the encoder's padding would lie before 0, and shift one of the files
    second = Track(clicks=(0.3,), seconds=1.0, codec="aac", rate=44100, begins=1.1)
    parts = [
        write(tmp_path / "a.ts", first, num_frames=10, video_begins=0.1),
        write(tmp_path / "b.ts", second, num_frames=10, video_begins=1.1),
    ]
    (tmp_path / "clip.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    sound = read(tmp_path / "clip.ts")
    assert clicks_in(sound) == pytest.approx([0.4, 1.3], abs=0.001)
    assert sound.heard.all()


def test_first_frame_is_the_one_that_the_reader_has_first(tmp_path: Path) -> None:
    early = write(tmp_path / "early.mkv", Track())
    late = write(tmp_path / "late.mkv", Track(), video_begins=0.7)
    assert (first_frame_seconds(early), first_frame_seconds(late)) == (0.0, 0.7)
    with video.open(late) as reader:
        assert reader.pts_seconds[0] == 0


def test_sound_that_ends_before_the_picture(tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track(seconds=0.8)))
    assert clicks_in(sound) == [pytest.approx(0.5, abs=0.001)]
    assert sound.heard.tolist() == [True, False]
    assert not sound.samples[1].any()
    assert sound.notes == ("the sound ends at 0.80 s: zeros from there",)


def test_a_video_that_ends_within_a_second_is_not_blamed_on_its_sound(tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track(seconds=1.6), num_frames=16))
    assert sound.notes == ()
    assert not sound.samples[1, 9700:].any()


def test_sound_for_less_than_a_tenth_of_a_second_is_not_heard(tmp_path: Path) -> None:
    heard = [
        read(write(tmp_path / f"{seconds}.mkv", Track(seconds=seconds))).heard.tolist()
        for seconds in (1.06, 1.14)
    ]
    assert heard == [[True, False], [True, True]]


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_a_gap_between_packets_is_filled_and_said(codec: str, tmp_path: Path) -> None:
    track = Track(clicks=(0.2, 0.9, 1.6), lost=(0.5, 1.2), codec=codec, rate=48000)
    sound = read(write(tmp_path / "clip.mkv", track))
    assert clicks_in(sound) == pytest.approx([0.2, 1.6], abs=0.001)
    silent = sound.samples.flatten()[round(0.54 * RATE) : round(1.19 * RATE)]
    assert not silent.any()
    (note,) = sound.notes
    assert note.startswith("a gap of 0.7") or note.startswith("a gap of 0.6")
    assert note.endswith("zeros there")


def test_one_lost_packet_of_twenty_milliseconds_is_a_gap(tmp_path: Path) -> None:
    track = Track(clicks=(0.2, 1.6), lost=(0.999, 1.019), rate=16000)
    sound = read(write(tmp_path / "clip.mkv", track))
    assert sound.notes == ("a gap of 0.02 s in the sound (at 1.00 s): zeros there",)
    assert clicks_in(sound) == pytest.approx([0.2, 1.6], abs=0.001)


def test_time_stamps_rounded_to_milliseconds_tear_nothing(tmp_path: Path) -> None:
    """Packets of 1024 samples at 44.1 kHz are 23.22 ms long; Matroska knows whole milliseconds only."""
    rate = 44100
    tone = Track(codec="flac", rate=rate, clicks=np.arange(0, 2, 0.005).tolist())
    path = write(tmp_path / "clip.mkv", tone)
    sound = read(path, rate=rate)
    assert torch.allclose(sound.samples.flatten(), torch.from_numpy(wave(tone)[0]), atol=1e-4)


def test_of_several_tracks_the_default_is_taken_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", Track(clicks=(0.25,)), Track(clicks=(1.5,)))
    sound = read(path)
    assert clicks_in(sound) == pytest.approx([0.25], abs=0.001)
    assert sound.notes == ("2 audio tracks, stream 1 is used",)


def test_a_video_without_sound_is_rows_of_zeros(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    for path in (make_video(tmp_path / "silent.mp4", num_frames=24), tmp_path):
        sound = read(path)
        assert sound.samples.shape == (2, RATE)
        assert not sound.samples.any()
        assert sound.heard.tolist() == [False, False]
    assert sound.notes == ("a folder of pictures has no sound",)
    assert read(tmp_path / "silent.mp4").notes == ("it has no sound track: zeros",)


def test_digital_silence_is_heard(tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track(clicks=())))
    assert sound.heard.all()
    assert not sound.samples.any()
    assert sound.notes == ()


def test_seconds_past_the_end_are_said(tmp_path: Path) -> None:
    sound = read(write(tmp_path / "clip.mkv", Track()), start_seconds=7.0)
    assert sound.heard.tolist() == [False, False]
    assert sound.notes == ("its sound track holds no sound for these seconds: zeros",)


def test_damaged_packets_are_said_and_the_rest_is_heard(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", Track(clicks=(0.2, 1.6), codec="flac", rate=48000))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size and packet.pts is not None]
        places = [bytes(packet) for packet in packets if 0.5 <= float(packet.pts * packet.time_base) < 1.0]
    content = path.read_bytes()
    for place in places:
        content = content.replace(place, b"\x00" * len(place))
    path.write_bytes(content)
    sound = read(path)
    assert clicks_in(sound) == pytest.approx([0.2, 1.6], abs=0.001)
    assert any(note.startswith(f"damaged: {len(places)} packets of its sound (") for note in sound.notes)
    assert any(note.startswith("a gap of 0.") for note in sound.notes)


def test_a_file_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", Track(clicks=(0.2, 1.6)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound = read(path)
    assert clicks_in(sound) == pytest.approx([0.2], abs=0.001)
    assert any(note.startswith("the sound ends at ") for note in sound.notes)


def test_a_picture_of_the_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16000, layout="mono")
        for packet in encode(stream, Track()):
            container.mux(packet)
    with pytest.raises(VideoError, match=r"song\.mp3: it has no video track \(only audio\)"):
        read(path)


@pytest.mark.parametrize("name", ["missing.mp4", "zero.mp4", "text.mp4"])
def test_what_is_no_video_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, "sample_rate_hz=0; it is a whole number from 1 on"),
        ({"num_seconds": 0}, "num_seconds=0; it is a whole number from 1 on"),
        ({"start_seconds": float("nan")}, "start_seconds=nan is no time"),
    ],
)
def test_numbers_that_make_no_sense_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(Path("clip.mkv"), **arguments)  # type: ignore[arg-type]


def test_it_says_in_a_line_what_it_holds() -> None:
    assert repr(silence(sample_rate_hz=50, num_seconds=3, note="a silent film")) == (
        "Sound(3 s at 50 Hz, 0 s heard, a silent film)"
    )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "heard", "notes"),
    [
        ("nasa_13013.mp4", 13, ("2 audio tracks, stream 4 is used",)),
        ("Test.ogv", 30, ()),
        ("test.avi", 7, ()),
        ("ios9.mov", 1, ()),
        ("fire2.mp4", 2, ("a gap of 0.16 s in the sound (at 0.02 s): zeros there",)),
        ("demo.mp4", 0, ("it has no sound track: zeros",)),
        ("no_duration.webm", 5, ()),
    ],
)
def test_real_files(name: str, heard: int, notes: tuple[str, ...], data_dir: Path) -> None:
    path = data_dir / "odd_videos" / name
    with video.open(path) as reader:
        num_seconds = max(1, int(reader.duration_seconds + 0.5))
    sound = read(path, num_seconds=num_seconds)
    assert int(sound.heard.sum()) == heard
    assert sound.notes == notes
    assert bool(sound.samples.any()) == (heard > 0 and name != "no_duration.webm")  # which sounds of nothing
    assert sound.samples.abs().max() <= 1
