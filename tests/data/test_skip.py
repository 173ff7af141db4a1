"""Frames left out on the way to a wanted one change no wanted one; nor does a light opening."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from interlace.data import video, video_file

NUM_FRAMES = 40
X264 = {
    "defaults": "",
    "pyramid": "bframes=5:b-adapt=0:b-pyramid=normal",
    "no pyramid": "bframes=3:b-adapt=0:b-pyramid=none",
    "interlaced": "tff=1:bframes=3:b-adapt=0",
    "open groups": "open-gop=1:bframes=3:keyint=12:scenecut=0",
    "intra refresh": "intra-refresh=1:keyint=10:bframes=3",
    "short groups": "keyint=8:bframes=3:b-adapt=0",
    "no b-frames": "bframes=0",
}


def encode(path: Path, x264: str) -> Path:
    texture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"x264-params": x264} if x264 else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(NUM_FRAMES):
            picture = np.ascontiguousarray(texture[i : i + 48, 2 * i : 2 * i + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def without_delay(extradata: bytes) -> bytes:
    """An avcC whose sequence parameters end before they tell how long frames are held back."""
    size = int.from_bytes(extradata[6:8], "big")
    sequence, rest = extradata[8 : 8 + size].replace(b"\0\0\3", b"\0\0"), extradata[8 + size :]
    bits = "".join(f"{byte:08b}" for byte in sequence).rstrip("0")
    number = "(?:1|01.|001..|0001...|00001....)"
    restriction = re.search(f"11{number * 6}1$", bits)
    assert restriction is not None
    bits = bits[: restriction.start()] + "01"
    bits += "0" * (-len(bits) % 8)
    shorter = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    shorter = re.sub(b"\0\0([\0-\3])", lambda match: b"\0\0\3" + match[1], shorter)
    return extradata[:6] + len(shorter).to_bytes(2, "big") + shorter + rest


def in_fragments_without_delay(source: Path, path: Path) -> Path:
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(source)) as read, av.open(str(path), "w", options=options) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        stream.codec_context.extradata = without_delay(bytes(read.streams.video[0].codec_context.extradata))
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                write.mux(packet)
    return path


def whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """All frames, decoded one after the other with nothing left out."""
    with monkeypatch.context() as patch, video.open(path) as reader:
        patch.setattr(video_file.Skipper, "_is_spare", lambda *_: False)
        return reader.frames_at(range(reader.num_frames))


@pytest.mark.parametrize("kind", X264)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_wanted_frames_are_those_of_a_full_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str
) -> None:
    path = encode(tmp_path / f"a.{suffix}", X264[kind])
    expected = whole(path, monkeypatch)
    assert len(expected) == NUM_FRAMES
    draw = random.Random(0)
    for _ in range(6):
        with video.open(path) as reader:
            for _ in range(2):
                indices = [draw.randrange(NUM_FRAMES) for _ in range(draw.choice([1, 3, 8]))]
                assert torch.equal(reader.frames_at(indices), expected[indices]), indices


@pytest.mark.parametrize("kind", ["pyramid", "interlaced", "short groups"])
def test_a_file_that_does_not_tell_the_delay_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = encode(tmp_path / "a.mp4", X264[kind])
    path = in_fragments_without_delay(source, tmp_path / "b.mp4")
    expected = whole(source, monkeypatch)
    for indices in ([1], [6, 30], [2, 17, 39]):
        with video.open(path) as reader:
            assert torch.equal(reader.frames_at(indices), expected[indices])


def decoded_positions(path: Path, wanted: list[int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    decoded: list[int] = []
    by_time = video_file._by_time

    def counting(*args) -> Iterator:
        for position, frame in by_time(*args):
            decoded.append(position)
            yield position, frame

    monkeypatch.setattr(video_file, "_by_time", counting)
    with video.open(path) as reader:
        reader.frames_at(wanted)
    return decoded


def test_frames_that_nothing_is_predicted_from_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # I at 0, then groups b b b P without references among the b: 1 2 3 | 4 | 5 6 7 | 8 ...
    path = encode(tmp_path / "a.mp4", "bframes=3:b-adapt=0:b-pyramid=none:keyint=250:scenecut=0")
    assert decoded_positions(path, [6, 20], monkeypatch) == [0, 4, 6, 8, 12, 16, 20]


def test_damaged_frames_are_looked_for_everywhere(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", X264["no pyramid"])
    with video.open(path, on_error="skip") as reader:
        reader.frames_at([6, 20])
        assert reader.damaged_frames() == []
