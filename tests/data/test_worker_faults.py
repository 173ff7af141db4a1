"""Processes that decode and are killed, end by themselves, hang, or find no memory: one line that names the clips."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from interlace.data import video
from interlace.data.annotations import Sample
from interlace.data.at_work import AtWork
from interlace.data.check import check_clip
from interlace.data.dataset import collate
from interlace.data.frame_index import ReadError
from interlace.data.out_of_memory import OutOfMemoryError, is_out_of_memory, naming_clips, require_memory
from interlace.data.video import VideoError
from interlace.data.worker_errors import ClipLoader, WorkerError, one_line_errors, waiting_for_news
from interlace.data.workers import stop_workers, worker_arguments

# When a process that decodes dies, torch's loader tries whether it can open files; the news of the death may come in
# the middle of that, and leaves one of them to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)

SAMPLES = [Sample(Path(f"{name}.mp4"), (0,)) for name in "abcdefg"]


class Clips(Dataset[dict[str, Any]]):
    """Something happens where clip f is read."""

    def __init__(self, happens: Callable[[], Any]) -> None:
        self.happens = happens
        self.at_work = AtWork(SAMPLES)

    def __len__(self) -> int:
        return len(SAMPLES)

    def __getitems__(self, positions: list[int]) -> list[dict[str, Any]]:
        return self.at_work.read(self.__getitem__, positions)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == 5:
            self.happens()
        return {"clip": torch.zeros(2, 3, 5, 7, dtype=torch.uint8), "label": 0, "index": index}


def batches(happens: Callable[[], Any], num_workers: int = 2) -> list[Any]:
    clips = Clips(happens)
    arguments = worker_arguments(num_workers, pin_memory=False)
    loader = ClipLoader(clips, batch_size=3, collate_fn=collate, **arguments)
    try:
        with one_line_errors(clips):
            return list(loader)
    finally:
        stop_workers(loader)


def end(status: int) -> Callable[[], None]:
    return lambda: os._exit(status)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_nothing_happens():
    assert [batch["index"].tolist() for batch in batches(lambda: None)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_killed_as_by_a_system_without_memory():
    with pytest.raises(WorkerError) as error:
        batches(kill_itself)
    assert str(error.value) == (
        "a process that decodes was killed by a signal (Killed) while it read f.mp4, in a batch of d.mp4, e.mp4, "
        "f.mp4; the system does so when memory runs out: use fewer trainer.num_workers, a smaller batch_size or "
        "image_size, or decode.cache=off"
    )


def test_a_crash_of_the_decoder():
    with pytest.raises(
        WorkerError, match=r"\(Segmentation fault\) while it read f\.mp4.*replace that file or take"
    ):
        batches(lambda: os.kill(os.getpid(), signal.SIGSEGV))


def test_an_end_by_itself():
    with pytest.raises(
        WorkerError, match=r"ended by itself with status 3 while it read f\.mp4, in a batch of d"
    ):
        batches(end(3))


@pytest.mark.faults  # PyTorch looks every 5 seconds
def test_an_end_without_a_word():
    with pytest.raises(
        WorkerError,
        match=r"is gone, killed or by itself, while it read f\.mp4, in a batch of d\.mp4, e\.mp4, f",
    ):
        batches(end(0))


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize(
    "allocate", [lambda: np.empty(10**15), lambda: torch.empty(10**15)], ids=["numpy", "torch"]
)
def test_no_memory(allocate, num_workers):
    with pytest.raises(OutOfMemoryError) as error:
        batches(allocate, num_workers)
    message = str(error.value)
    assert message.startswith("out of memory while decoding with a batch of d.mp4, e.mp4, f.mp4 (")
    assert "allocate" in message
    assert "; use fewer processes that decode (num_workers), a smaller batch_size" in message
    assert "\n" not in message


def test_no_shared_memory():
    """Refused as /dev/shm refuses when it is full: the batch would be lost, and training wait for it for ever."""

    def no_larger_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    with pytest.raises(
        OutOfMemoryError, match=r"while a batch is put together .*number 3, number 4, number 5"
    ):
        batches(no_larger_files, 1)


@pytest.mark.faults  # PyTorch gives a hanging process 5 seconds more
def test_how_long_is_waited(monkeypatch):
    monkeypatch.setenv("INTERLACE_MAX_WAIT_SECONDS", "1")
    with pytest.raises(
        WorkerError, match=r"no batch has come for 1 s; the processes that decode read f\.mp4: see"
    ):
        batches(signal.pause)
    monkeypatch.delenv("INTERLACE_MAX_WAIT_SECONDS")
    assert worker_arguments(2, pin_memory=False)["timeout"] == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: ..."
            ),
            True,
        ),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_is_an_error_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_no_memory_in_a_step():
    with (
        pytest.raises(
            OutOfMemoryError, match=r"^out of memory in the network with a batch of a.mp4 \(.*1000000000000"
        ),
        naming_clips(lambda: ["a.mp4"], "in the network"),
    ):
        torch.zeros(10**15 // 4)


def test_other_errors_stay_as_they_are():
    with (
        pytest.raises(RuntimeError, match=r"^wrong shape$"),
        naming_clips(lambda: ["a.mp4"], "in the network"),
    ):
        raise RuntimeError("wrong shape")


def test_no_memory_in_a_check(monkeypatch, make_video, tmp_path):
    path = make_video(tmp_path / "a.mp4")

    def no_memory(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("interlace.data.check.video.open", no_memory)
    checked = check_clip(Sample(path, ()))
    assert checked.status == "unreadable"
    assert checked.problem == (
        f"{path}: out of memory while decoding it, which says nothing of the file; check it again with --num_workers 1"
    )


@pytest.fixture
def little_memory():
    """No more than another 100 MB of addresses."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 100 * 2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def no_memory_in_the_decoder(*args: object, **kwargs: object) -> None:
    """What PyAV makes of FFmpeg's error."""
    raise av.error.MemoryError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_no_memory_in_the_decoder_is_no_damage(make_video, tmp_path, monkeypatch, little_memory):
    """Nor is the video left out, where those that cannot be read are."""
    path = make_video(tmp_path / "a.mp4")
    with video.open(path, on_error="skip") as reader:
        reader._errors.append(ReadError(None, "Cannot allocate memory"))
        with pytest.raises(MemoryError, match=r"a\.mp4: the decoder cannot allocate memory"):
            reader._tell_damage()
    monkeypatch.setattr(av, "open", no_memory_in_the_decoder)
    with pytest.raises(MemoryError, match=r"a\.mp4: the decoder cannot allocate memory"):
        video.open(path, on_error="skip")
    require_memory(path, "Invalid data found when processing input")


def test_a_file_that_asks_for_absurd_amounts_is_damaged(make_video, tmp_path, monkeypatch):
    """FFmpeg says the same, but there is memory."""
    path = make_video(tmp_path / "a.mp4")
    monkeypatch.setattr(av, "open", no_memory_in_the_decoder)
    with pytest.raises(VideoError, match=r"not a video that FFmpeg can read \(Cannot allocate memory\)"):
        video.open(path)


def _broken(error: Exception) -> Iterator[int]:
    """A batch, then a connection that breaks."""
    yield 1
    raise error


@pytest.mark.parametrize(
    "error", [EOFError(), ConnectionResetError()], ids=lambda error: type(error).__name__
)
def test_a_connection_that_breaks_before_the_end_of_its_process_is_known(error: Exception) -> None:
    def tell(number: int, frame: object) -> None:
        del number, frame
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    before = signal.signal(signal.SIGALRM, tell)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(WorkerError, match=r"was killed by a signal \(Killed\)"), one_line_errors():
            list(waiting_for_news(_broken(error)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _die_when_asked_for_a_batch(number: int) -> None:
    """What a worker has put in shared memory is fetched over a connection to it, which begins with a challenge."""
    del number
    connection.deliver_challenge = _break_and_die  # type: ignore[attr-defined]


def _break_and_die(asking: connection.Connection, authkey: bytes) -> None:
    """The connection breaks a moment before the news of the process's end."""
    del authkey
    asking.close()
    time.sleep(0.2)
    kill_itself()


def test_a_worker_that_is_killed_while_it_hands_a_batch_over() -> None:
    loader = ClipLoader(
        TensorDataset(torch.zeros(4, 8)), num_workers=1, worker_init_fn=_die_when_asked_for_a_batch
    )
    with pytest.raises(WorkerError, match=r"a process that decodes (was killed|is gone)"), one_line_errors():
        list(loader)


def test_a_connection_that_breaks_for_another_reason_stays_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlace.data.worker_errors.NEWS_SECONDS", 0.0)
    with pytest.raises(EOFError):
        list(waiting_for_news(_broken(EOFError())))
