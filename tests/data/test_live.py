from __future__ import annotations

import io
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from interlace.data import video
from interlace.data.live import LiveSource, open_live
from interlace.data.video import VideoError

LONG = 5.0  # seconds after which a wait that should have ended fails the test


def stream_of(first: int, num_frames: int, format: str = "mpegts", codec: str = "libx264") -> bytes:
    """A video at 12 frames a second; frame i is gray at level 10 * i."""
    content = io.BytesIO()
    with av.open(content, "w", format=format) as container:
        stream = container.add_stream(codec, rate=12, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 6
        for i in range(first, first + num_frames):
            picture = np.full((48, 64, 3), 10 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return content.getvalue()


class Server:
    """Sends each caller the next of some answers and hangs up; ``hold`` keeps the line of the last one open."""

    def __init__(self, *answers: bytes, port: int = 0, hold: threading.Event | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(LONG)
        self.port: int = self._listener.getsockname()[1]
        self._answers, self._hold = answers, hold
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener:
            for i, answer in enumerate(self._answers):
                line, _ = self._listener.accept()
                with line:
                    line.settimeout(LONG)
                    if answer.startswith(b"HTTP"):
                        line.recv(4096)
                    line.sendall(answer)
                    if self._hold and i == len(self._answers) - 1:
                        self._hold.wait(LONG)

    def join(self) -> None:
        self._thread.join(LONG)
        assert not self._thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(*answers: bytes, port: int = 0, hold: threading.Event | None = None) -> Server:
        servers.append(Server(*answers, port=port, hold=hold))
        return servers[-1]

    yield start
    for server in servers:
        server.join()


def take(source: LiveSource, number: int) -> list[tuple[int, bool]]:
    """The index of so many frames, and whether each comes after a gap; their times rise and they are as sent."""
    frames = [source.next_frame(LONG) for _ in range(number)]
    times = [frame.time_seconds for frame in frames]
    assert times == sorted(set(times))
    assert all(abs(frame.pixels.float().mean().item() - 10 * (frame.index % 20)) < 3 for frame in frames)
    return [(frame.index, frame.after_gap) for frame in frames]


def thread_of(source: LiveSource) -> threading.Thread:
    return source._thread


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_a_file_gives_the_frames_of_its_reader(
    tmp_path: Path, make_video: Callable[..., Path], color
) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=18)
    with open_live(path, pace="fast", color=color) as source:
        frames = list(source)
        assert (source.height, source.width, source.fps, source.is_file) == (48, 64, 12.0, True)
        assert (source.decoded, source.dropped, source.damaged, source.reconnects) == (18, 0, 0, 0)
        assert source.is_over
    with video.open(path, color=color) as reader:
        expected = reader.frames_at(range(18))
        assert [frame.time_seconds for frame in frames] == pytest.approx(reader.pts_seconds.tolist())
    assert all((frame.pixels == picture).all() for frame, picture in zip(frames, expected, strict=True))
    assert not thread_of(source).is_alive()


def test_what_the_decoder_holds_back_at_the_end_has_its_times(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    path, times = tmp_path / "uneven.ts", [0, 40, 80, 500, 540, 1000, 1700, 2500, 2600, 3900]
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), time // 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    url = f"tcp://127.0.0.1:{serve(path.read_bytes()).port}"
    for source, options in ((path, {}), (url, {"max_wait_seconds": 0.0})):
        with open_live(source, pace="fast", **options) as live:
            frames = list(live)
        assert [frame.time_seconds for frame in frames] == pytest.approx([time / 1000 for time in times])
        assert not any(frame.after_gap for frame in frames)


def test_frames_are_thinned_out_by_their_times(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=18)
    with open_live(path, pace="fast", frame_rate=4.0) as source:
        assert [frame.index for frame in source] == [0, 3, 6, 9, 12, 15]
        assert (source.decoded, source.dropped) == (18, 0)


def test_a_slow_reader_gets_the_newest_frame(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=11, fps=100)
    with open_live(path) as source:
        first = source.next_frame(LONG)
        thread_of(source).join(LONG)  # it plays on to its end; nobody takes a frame meanwhile
        last = source.next_frame(LONG)
        assert (first.index, first.dropped_before) == (0, 0)
        assert (last.index, last.dropped_before, source.dropped) == (10, 9, 9)
        assert source.next_frame(LONG) is None


@pytest.mark.parametrize("pace", ["real", "fast"])
def test_closing_ends_the_thread_wherever_it_waits(tmp_path: Path, make_video, pace) -> None:
    path = make_video(tmp_path / "slow.mp4", num_frames=3, fps=0.01)  # the second frame is due in 100 s
    source = open_live(path, pace=pace)
    assert source.next_frame(LONG).index == 0
    source.close()
    assert not thread_of(source).is_alive()
    assert source.next_frame(LONG) is None
    source.close()


def test_another_thread_may_close_it(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    with open_live(make_video(tmp_path / "slow.mp4", num_frames=2, fps=0.01)) as source:
        closer = threading.Thread(target=source.close)
        indices = []
        for frame in source:  # would wait for 100 s
            indices.append(frame.index)
            closer.start()
        closer.join(LONG)
    assert indices == [0]


def test_a_source_that_is_let_go_ends_its_thread(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    source = open_live(make_video(tmp_path / "slow.mp4", num_frames=2, fps=0.01))
    thread = thread_of(source)
    del source
    thread.join(LONG)
    assert not thread.is_alive()


def test_ctrl_c_while_waiting_for_a_silent_source(serve: Callable[..., Server]) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    over = threading.Event()
    server = serve(stream_of(0, 7), hold=over)
    source = open_live(f"tcp://127.0.0.1:{server.port}", pace="fast", stall_seconds=2.0)

    def watch() -> None:
        with source:
            for frame in source:
                if frame.index == 4:  # no more may come than what the decoder holds back
                    threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    try:
        with pytest.raises(KeyboardInterrupt):
            watch()
    finally:
        signal.signal(signal.SIGINT, before)
    over.set()
    thread_of(source).join(LONG)
    assert not thread_of(source).is_alive()


def test_a_source_goes_away_and_comes_back(serve: Callable[..., Server]) -> None:
    server = serve(stream_of(0, 8))
    url = f"tcp://127.0.0.1:{server.port}"
    with open_live(url, pace="fast", reconnect_seconds=0.01, max_wait_seconds=LONG) as source:
        assert not source.is_file
        assert take(source, 8) == [(i, False) for i in range(8)]
        server.join()
        while "nothing answers" not in (source.away or ""):
            assert source.next_frame(0.01) is None
        serve(stream_of(8, 7), port=server.port)
        assert take(source, 7) == [(8 + i, i == 0) for i in range(7)]
        assert (source.reconnects, source.decoded, source.dropped) == (1, 15, 0)


def test_a_source_that_falls_silent_is_opened_again(serve: Callable[..., Server]) -> None:
    over = threading.Event()
    server = serve(stream_of(0, 6), hold=over)
    with open_live(
        f"tcp://127.0.0.1:{server.port}", pace="fast", stall_seconds=2.0, reconnect_seconds=0.01
    ) as source:
        assert take(source, 5) == [(i, False) for i in range(5)]
        while source.away is None:
            source.next_frame(0.01)
        assert "nothing came for 2 s" in source.away or "has sent nothing for 2 s" in source.away
    over.set()
    thread_of(source).join(LONG)
    assert not thread_of(source).is_alive()


def test_a_source_that_stays_away_is_an_error_after_the_last_frame(serve: Callable[..., Server]) -> None:
    server = serve(stream_of(0, 5))
    with open_live(
        f"tcp://u:secret@127.0.0.1:{server.port}", pace="fast", reconnect_seconds=0.01, max_wait_seconds=0.05
    ) as source:
        assert len(take(source, 5)) == 5
        with pytest.raises(VideoError, match=r"tcp://\*\*\*@127.*did not come back in 0.05 s") as error:
            source.next_frame(LONG)
        assert "secret" not in f"{error.value} {source!r} {source.address!r}"
        assert source.is_over


def test_its_end_is_the_end_if_it_is_not_waited_for(serve: Callable[..., Server]) -> None:
    server = serve(stream_of(0, 5))
    with open_live(f"tcp://127.0.0.1:{server.port}", pace="fast", max_wait_seconds=0.0) as source:
        assert [frame.index for frame in source] == [0, 1, 2, 3, 4]


def test_a_recording_behind_a_url_ends_where_it_ends_also_if_it_broke_off(
    serve: Callable[..., Server],
) -> None:
    content = stream_of(0, 18, "matroska", "rawvideo")
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content)
    server = serve(whole + content[: len(content) * 2 // 3], whole + content)
    with open_live(f"http://127.0.0.1:{server.port}/a.mkv", pace="fast", reconnect_seconds=0.01) as source:
        assert source.is_file
        frames = list(source)
    assert [round(12 * frame.time_seconds) for frame in frames] == list(range(18))
    assert all(abs(frame.pixels.float().mean().item() - 10 * i) < 3 for i, frame in enumerate(frames))
    assert source.reconnects == 1
    assert not any(frame.after_gap for frame in frames)


def test_what_is_piped_in_ends(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(stream_of(0, 6),))
    writer.start()
    with open_live(path, pace="fast") as source:
        assert take(source, 6) == [(i, False) for i in range(6)]
        assert source.next_frame(LONG) is None
    writer.join(LONG)


def test_damaged_packets_are_passed_over_and_counted(damaged_video: Path) -> None:
    with open_live(damaged_video, pace="fast") as source:
        indices = [frame.index for frame in source]
    assert indices[:11] == list(range(11))
    assert source.damaged > 0
    assert len(indices) + source.damaged >= 24


def test_what_cannot_be_opened(tmp_path: Path, serve: Callable[..., Server]) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    server = serve(b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 401 No\r\n\r\n", b"no video" * 999)
    url = f"127.0.0.1:{server.port}"
    for source, message in (
        (tmp_path / "none.mp4", "none.mp4: there is no such file; check the path"),
        (tmp_path / "empty.mp4", "the file is empty"),
        (tmp_path / "text.mp4", "not a video that FFmpeg can read"),
        (tmp_path, "is not a file"),
        (f"http://{url}/a?key=secret", r"/a\?\*\*\*: the server knows no such stream \(404\)"),
        (f"http://u:secret@{url}/a", r"\*\*\*@127.0.0.1:\d+/a: access is denied; put user and password"),
        (f"tcp://{url}", "is no video that FFmpeg can read"),
        ("nonsense://host/a", "this FFmpeg does not know its protocol"),
        ("765", "camera 765: there is no such camera"),
    ):
        with pytest.raises(VideoError, match=message) as error:
            open_live(source)
        assert "secret" not in str(error.value)
    assert not any(thread.name == "interlace-live" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_rate": 0.0}, "frame_rate=0.0 takes no frame"),
        ({"reconnect_seconds": 0.0}, "reconnect_seconds=0.0 and stall_seconds=10.0 are waits"),
        ({"max_wait_seconds": -1.0}, "max_wait_seconds=-1.0 is no time"),
        ({"source": -1}, "camera -1: cameras are numbered from 0"),
        ({"source": " "}, "the source has no name"),
    ],
)
def test_numbers_that_mean_nothing(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_live(**{"source": "clip.mp4"} | arguments)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "num_frames", "size", "damaged"),
    [
        ("sideways movie.mov", 25, (640, 480), 0),
        ("h264_10bits.mp4", 30, (200, 200), 0),
        ("bitmap.mp4", 5, (1, 1), 0),
        ("corrupted.mp4", 49, (720, 1280), 2),
    ],
)
def test_odd_videos(data_dir: Path, name: str, num_frames: int, size: tuple[int, int], damaged: int) -> None:
    with open_live(data_dir / "odd_videos" / name, pace="fast") as source:
        assert sum(frame.pixels.shape == (3, *size) for frame in source) == num_frames
        assert (source.height, source.width, source.damaged) == (*size, damaged)
