"""What is told of updates: JSON lines, lines and a status for people, pictures."""

from __future__ import annotations

import io
import json
import re
import signal
import threading
from collections.abc import Callable

import pytest
import torch
from rich.console import Console
from torch import Tensor

from interlace.streaming.answers import Answer
from interlace.streaming.events import Event
from interlace.streaming.interruption import stopping
from interlace.streaming.json_lines import JsonLines
from interlace.streaming.loop import Update
from interlace.streaming.pictures import Pictures
from interlace.streaming.summary import Summary
from interlace.streaming.terminal import Terminal

TOP = (("wave", 0.625), ("clap", 0.25))
BEGUN, ENDED = Event("wave", 1.5, None, 0.5, 0.625), Event("clap", 0.25, 1.5, 0.75, 1.0)


class Screen(io.TextIOWrapper):
    """A file, or a terminal, that remembers what was written."""

    def __init__(self, *, is_watched: bool = False) -> None:
        self.is_watched, self.flushed = is_watched, 0
        super().__init__(io.BytesIO(), encoding="utf-8", newline="\n")

    def isatty(self) -> bool:
        return self.is_watched

    def flush(self) -> None:
        self.flushed += 1
        super().flush()

    def getvalue(self) -> str:
        flushed = self.flushed
        self.flush()
        self.flushed = flushed
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.fixture
def update(make_frame: Callable) -> Callable[..., Update]:
    def make(**changes: object) -> Update:
        answer = Answer(torch.tensor([0.625, 0.25], dtype=torch.float64), 1.75, 0.0125)
        values = {
            "frame": make_frame(128, 2.0),
            "time_seconds": 2.0,
            "answer": answer,
            "top": TOP,
            "events": (),
            "running": (),
            "gap": False,
            "away": None,
            "fps": 29.97,
            "dropped": 3,
            "latency_seconds": 0.0125,
        }
        return Update(**(values | changes))  # type: ignore[arg-type]

    return make


def test_json_lines(update: Callable[..., Update]) -> None:
    file = Screen()
    lines = JsonLines(file)
    lines.start({"source": "caf\udce9.mp4"})
    lines(update(answer=None))  # nothing new
    lines(update(events=(ENDED, BEGUN)))
    for _ in range(3):
        lines(update(frame=None, answer=None, away="camera 0: it ended"))
    lines(update(answer=None, gap=True, time_seconds=9.0))
    lines.summary(Summary(2.0, 2.0, 70, 60, 3, 1, 9, 1, {"p50": 12.5}, ("wave", 0.625, 1.75)))
    found = [json.loads(line) for line in file.getvalue().splitlines()]
    assert found[0] == {"type": "start", "source": "caf\udce9.mp4"}
    assert found[1] == {
        **{"type": "event", "state": "end", "label": "clap", "start_seconds": 0.25, "end_seconds": 1.5},
        **{"score": 0.75, "peak": 1.0},
    }
    assert (found[2]["state"], found[2]["label"], found[2]["end_seconds"]) == ("begin", "wave", None)
    assert found[3] == {
        "type": "prediction",
        "time_seconds": 1.75,
        "top": [{"label": "wave", "score": 0.625}, {"label": "clap", "score": 0.25}],
        "latency_ms": 12.5,
        "dropped": 3,
    }
    assert found[4] == {"type": "away", "time_seconds": 2.0, "reason": "camera 0: it ended"}
    assert found[5] == {"type": "back", "time_seconds": 9.0}
    assert (found[6]["type"], found[6]["fps"], found[6]["best"]) == ("summary", 30.0, ["wave", 0.625, 1.75])
    assert len(found) == 7


def test_every_line_is_flushed() -> None:
    file = Screen()
    JsonLines(file).event(BEGUN)
    assert (file.getvalue().count("\n"), file.flushed) == (1, 1)


def test_in_a_pipe_only_what_happens_is_printed(update: Callable[..., Update]) -> None:
    file = Screen()
    with Terminal(Console(file=file)) as terminal:
        terminal.say("caf\udce9.mp4: [red]24 x 32[/red]")
        terminal(update())
        terminal(update(events=(ENDED, BEGUN)))
        for _ in range(2):
            terminal(update(frame=None, away="camera 0: it ended"))
        terminal(update(gap=True, time_seconds=9.0))
    assert file.getvalue().splitlines() == [
        "caf\N{REPLACEMENT CHARACTER}.mp4: [red]24 x 32[/red]",
        "end:   clap from 0.2 to 1.5 s, mean 75.0%, peak 100.0%",
        "begin: wave since 1.5 s, mean 50.0%, peak 62.5%",
        "away:  camera 0: it ended; waiting for it to come back",
        "back:  at 9.0 s; nothing of what was before is remembered",
    ]


def test_on_a_terminal_one_line_changes_below_those_that_stay(
    update: Callable[..., Update], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    screen = Screen(is_watched=True)
    with Terminal(Console(file=screen)) as terminal:
        terminal(update(top=(), events=(BEGUN,)))
        first = screen.getvalue()
        terminal(update())  # too soon after the first to be shown
        assert screen.getvalue() == first
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.getvalue())
    assert "begin: wave since 1.5 s, mean 50.0%, peak 62.5%\n" in shown
    assert "no answer yet   30.0 fps   3 dropped   latency 12 ms   0:02" in shown
    assert screen.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))  # the line is gone, the cursor back
    screen = Screen(is_watched=True)
    with Terminal(Console(file=screen)) as terminal:
        terminal(update(running=(BEGUN,)))
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.getvalue())
    assert "wave 62%   clap 25%   30.0 fps   3 dropped   latency 12 ms   0:02" in shown


def test_each_frame_is_drawn_once_for_all_who_show_it(update: Callable[..., Update]) -> None:
    shown: list[tuple[int, Tensor, float]] = []
    pictures = Pictures(
        lambda picture, seconds: shown.append((1, picture, seconds)),
        lambda picture, seconds: shown.append((2, picture, seconds)),
    )
    pictures(update(running=(BEGUN,)))
    pictures(update(frame=None))
    assert [(who, seconds) for who, _, seconds in shown] == [(1, 2.0), (2, 2.0)]
    assert shown[0][1] is shown[1][1]
    assert shown[0][1].shape == (3, 252, 336)  # 36 x 48, seven times
    orange = (shown[0][1][0] > 180) & (shown[0][1][2] < 60)
    assert orange.any()  # the event


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_the_second_breaks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    is_stopped = threading.Event()
    lock = threading.Lock()

    def stop() -> None:
        with lock:  # that the main thread holds
            is_stopped.set()

    with stopping(is_stopped.set):
        pass
    assert not is_stopped.is_set()
    with stopping(stop):
        with lock:
            signal.raise_signal(number)
        assert is_stopped.wait(30)
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone() -> None:
    handlers = []

    def run() -> None:
        with stopping(lambda: None):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
