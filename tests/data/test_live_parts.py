"""The parts of a live source, each by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from interlace.data.live_address import address_of, without_secrets
from interlace.data.live_camera import camera_device, list_cameras
from interlace.data.live_connection import Connection
from interlace.data.live_errors import why_broken, why_not_open
from interlace.data.live_mailbox import LiveFrame, Mailbox
from interlace.data.live_thinning import Thinning
from interlace.data.live_times import Lateness, Timeline

LONG = 5.0


def frame(index: int, *, after_gap: bool = False) -> LiveFrame:
    return LiveFrame(torch.zeros(3, 4, 5, dtype=torch.uint8), index / 10, index, after_gap=after_gap)


@pytest.mark.parametrize(
    ("source", "kind", "url", "name"),
    [
        (2, "camera", "/dev/video2", "camera 2"),
        ("2", "camera", "/dev/video2", "camera 2"),
        ("/dev/video7", "camera", "/dev/video7", "/dev/video7"),
        ("./2", "file", "./2", "./2"),
        ("a b.mp4", "file", "a b.mp4", "a b.mp4"),
        ("C:\\a.mp4", "file", "C:\\a.mp4", "C:\\a.mp4"),
        ("-", "pipe", "pipe:0", "standard input"),
        ("pipe:3", "pipe", "pipe:3", "pipe:3"),
        ("udp://@:5000", "url", "udp://@:5000", "udp://@:5000"),
        ("rtsp://u:p@cam:554/1", "url", "rtsp://u:p@cam:554/1", "rtsp://***@cam:554/1"),
    ],
)
def test_what_a_user_may_name(monkeypatch, source, kind: str, url: str, name: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    address = address_of(source)
    assert (address.kind, address.url, address.name) == (kind, url, name)
    assert "u:p" not in repr(address)


def test_a_file_goes_before_a_url(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_of("rtsp:a.mp4").kind == "url"
    Path("rtsp:a.mp4").touch()
    assert address_of("rtsp:a.mp4").kind == "file"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://cam/live.m3u8?token=abc&x=1", "http://cam/live.m3u8?***"),
        ("rtsp://anna:p@ss/w?rd@cam/1", "rtsp://***@cam/1"),
        ("http://anna:pw@cam/a?mail=b@c.d", "http://***@c.d"),
        ("srt://host:9000?passphrase=0123456789", "srt://host:9000?***"),
        ("tcp://127.0.0.1:5000", "tcp://127.0.0.1:5000"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_cameras_by_system(tmp_path: Path) -> None:
    for index, name in ((10, "Front\n"), (2, "Door\n")):
        (tmp_path / f"video{index}").mkdir()
        (tmp_path / f"video{index}" / "name").write_text(name)
    (tmp_path / "video3").mkdir()
    assert list_cameras("linux", tmp_path) == ["2 (Door)", "3 (no name)", "10 (Front)"]
    assert list_cameras("linux", tmp_path / "none") == []
    assert camera_device(1, [], "darwin") == ("1:none", "avfoundation", {"framerate": "30"})
    assert camera_device(1, ["A", "B"], "win32") == ("video=B", "dshow", {})
    assert camera_device(4, [], "linux") == ("/dev/video4", "v4l2", {})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "none"), "there is no such camera; there are 0 (Door)"),
        (OSError(19, "gone"), "there is no such camera; there are 0 (Door)"),
        (PermissionError(13, "no"), 'no permission to use it; add yourself to the group "video"'),
        (OSError(16, "busy"), "another program uses it; close that one"),
        (
            OSError(5, "I/O"),
            "it cannot be opened (I/O); plug it in again, or choose another: there are 0 (Door)",
        ),
    ],
)
def test_why_a_camera_cannot_be_opened(monkeypatch, error: OSError, message: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("interlace.data.live_errors.list_cameras", lambda: ["0 (Door)"])
    assert why_not_open(address_of(0), error, 10.0) == message


def test_why_a_url_cannot_be_opened() -> None:
    url = address_of("tcp://127.0.0.1:9")
    assert why_not_open(url, av.error.ExitError(1, "Immediate exit requested"), 3.0).startswith(
        "nothing came for 3 s"
    )
    assert why_not_open(url, OSError(113, "No route to host"), 3.0) == (
        "it cannot be opened (No route to host); check the address and the network"
    )
    assert (
        why_broken(OSError(104, "Connection reset by peer"), 3.0) == "it broke off (Connection reset by peer)"
    )


@pytest.mark.parametrize(
    ("rate", "times", "wanted"),
    [
        (None, [0.0, 0.1, 0.11], [0, 1, 2]),
        (10.0, [0.0, 0.099, 0.201, 0.302, 0.398], [0, 1, 2, 3, 4]),  # times that tremble
        (5.0, [0.0, 0.1, 0.2, 0.3, 0.4], [0, 2, 4]),
        (4.0, [i / 10 for i in range(11)], [0, 2, 5, 7, 10]),
        (50.0, [0.0, 0.1, 0.2], [0, 1, 2]),  # there are no more
        (5.0, [0.0, 3.0, 3.1, 3.2, 3.4], [0, 1, 3, 4]),  # no hurry after a pause
    ],
)
def test_thinning(rate: float | None, times: list[float], wanted: list[int]) -> None:
    thinning = Thinning(rate)
    assert [i for i, time in enumerate(times) if thinning.wants(time)] == wanted


def test_thinning_does_not_drift() -> None:
    thinning = Thinning(7.0)
    assert sum(thinning.wants(i / 30) for i in range(30 * 60)) == pytest.approx(7 * 60, abs=1)


NONE = None


@pytest.mark.parametrize(
    ("is_live", "stamps", "clock", "times", "new"),
    [
        (False, [9.0, 9.1, 9.3], [0, 0, 0], [0.0, 0.1, 0.3], []),
        (False, [NONE, NONE, NONE], [0, 5, 9], [0.0, 0.04, 0.08], []),
        (False, [0.0, 0.5, 0.5, 0.4, 0.7], [0] * 5, [0.0, 0.5, 0.54, 0.58, 0.7], []),
        (False, [0.0, 50.0], [0, 0], [0.0, 50.0], []),  # a long pause in a file is what it says
        (False, [5.0, 6.0, 0.0, 1.0], [0] * 4, [0.0, 1.0, 1.04, 2.04], []),  # a second part follows
        (True, [5.0, 6.0, 0.0, 1.0], [0, 1, 4, 5], [0.0, 1.0, 4.0, 5.0], [2]),  # the server began anew
        (True, [5.0, 6.0, 99.0, 99.5], [0, 1, 2, 3], [0.0, 1.0, 2.0, 2.5], [2]),
        (True, [5.0, 6.0, 25.0], [0, 1, 20], [0.0, 1.0, 20.0], []),  # nothing came for a while
        (True, [NONE, NONE, NONE], [7, 7.5, 7.6], [0.0, 0.5, 0.6], []),
    ],
)
def test_times(is_live: bool, stamps: list, clock: list, times: list[float], new: list[int]) -> None:
    timeline = Timeline(nominal_seconds=0.04, is_live=is_live)
    found = [timeline.at(pts, float(now)) for pts, now in zip(stamps, clock, strict=True)]
    assert [time for time, _ in found] == pytest.approx(times)
    assert [i for i, (_, is_new) in enumerate(found) if is_new] == new


def test_times_go_on_by_the_clock_after_a_restart_and_repeat_after_a_rewind() -> None:
    live = Timeline(nominal_seconds=0.04, is_live=True)
    assert [live.at(pts, now)[0] for pts, now in ((1.0, 50.0), (1.5, 50.5))] == [0.0, 0.5]
    live.restart()
    assert [live.at(pts, now)[0] for pts, now in ((700.0, 58.0), (700.25, 58.25))] == [8.0, 8.25]
    recording = Timeline(nominal_seconds=0.04, is_live=False)
    assert [recording.at(pts, 0.0)[0] for pts in (1.0, 4.0)] == [0.0, 3.0]
    recording.rewind()
    assert recording.at(1.5, 0.0)[0] == 0.5


def test_lateness_forgives_a_clock_that_drifts() -> None:
    lateness = Lateness()
    assert max(lateness.of(i / 10, i / 10 * 1.0005) for i in range(5_000)) < 1e-6
    assert lateness.of(500.0, 501.0) == pytest.approx(0.75, abs=0.01)


def test_a_gap_is_told_also_if_its_first_frame_was_dropped() -> None:
    mailbox = Mailbox(keep_all=False)
    for i in range(4):
        mailbox.put(frame(i, after_gap=i == 2))
    taken = mailbox.take()
    assert (taken.index, taken.after_gap, taken.dropped_before) == (3, True, 3)
    mailbox.count_dropped(2)
    mailbox.put(frame(4))
    taken = mailbox.take()
    assert (taken.index, taken.after_gap, taken.dropped_before, mailbox.dropped) == (4, False, 2, 5)


def test_a_writer_that_keeps_all_waits_for_the_reader() -> None:
    mailbox = Mailbox(keep_all=True)

    def write() -> None:
        for i in range(20):
            mailbox.put(frame(i))
        mailbox.finish()

    writer = threading.Thread(target=write)
    writer.start()
    assert [mailbox.take(LONG).index for _ in range(20)] == list(range(20))
    assert mailbox.take(LONG) is None
    assert mailbox.is_over
    assert mailbox.dropped == 0
    writer.join(LONG)


def test_the_last_frame_comes_before_the_error_and_the_error_once() -> None:
    mailbox = Mailbox(keep_all=False)
    assert mailbox.take(0.0) is None
    assert not mailbox.is_over
    mailbox.put(frame(0))
    mailbox.finish(ValueError("it went away"))
    assert mailbox.take(LONG).index == 0
    assert not mailbox.is_over
    with pytest.raises(ValueError, match="it went away"):
        mailbox.take(LONG)
    assert mailbox.is_over
    assert mailbox.take(LONG) is None


def test_closing_frees_a_writer_that_waits() -> None:
    mailbox = Mailbox(keep_all=True)
    mailbox.put(frame(0))
    waiting = [
        threading.Thread(target=mailbox.put, args=(frame(1),)),
        threading.Thread(target=mailbox.wait_for_reader),
    ]
    for thread in waiting:
        thread.start()
    mailbox.close()
    for thread in waiting:
        thread.join(LONG)
        assert not thread.is_alive()
    assert mailbox.take(LONG) is None


def test_a_camera_without_a_new_frame_is_asked_again_until_it_counts_as_stuck(damaged_video: Path) -> None:
    connection = Connection(address_of(damaged_video), LONG)
    real, asked = connection._container, []

    class Slow:
        """Has no frame at the first two times."""

        def demux(self, stream: object) -> Iterator[object]:
            asked.append(stream)
            if len(asked) < 2:
                raise BlockingIOError
            yield from real.demux(stream)

    connection._container = Slow()
    connection._packets = connection._container.demux("first")
    assert connection.read() == []
    assert connection.read() is not None
    assert len(asked) == 2
    asked.clear()
    connection._stall_seconds = 0.0
    connection._packets = connection._container.demux("again")
    while (frames := connection.read()) is not None:
        assert all(frame.pts is not None for frame in frames)
    assert connection.damaged == 1  # of a file; a camera is opened again
    real.close()


def test_in_a_hurry_only_what_no_other_frame_needs_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    texture = np.random.default_rng(0).integers(0, 255, (80, 160, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        options = {"x264-params": "bframes=2:b-adapt=0:b-pyramid=none:scenecut=0"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(30):
            picture = np.ascontiguousarray(texture[i : i + 48, 2 * i : 2 * i + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))

    def read(late: Callable[[int], bool]) -> tuple[dict[int, bytes], int]:
        connection = Connection(address_of(path), LONG)
        found: dict[int, bytes] = {}
        left_out, packets = 0, 0
        while (frames := connection.read()) is not None:
            found |= {frame.pts: bytes(frame.planes[0]) for frame in frames}
            left_out += connection.hurry(late(packets))
            packets += 1
        left_out += connection.hurry(False)
        connection.close()
        return found, left_out

    everything, none = read(lambda packet: False)
    some, left_out = read(lambda packet: 8 <= packet < 23)
    assert (len(everything), none) == (30, 0)
    assert 8 <= left_out <= 12  # two of three
    assert len(some) == 30 - left_out
    assert all(everything[pts] == picture for pts, picture in some.items())
