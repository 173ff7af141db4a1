"""A stream for people: a line that changes, on a terminal, and lines that stay."""

from __future__ import annotations

from time import perf_counter

from rich.console import Console
from rich.live import Live
from rich.text import Text

from interlace.printable import printable_lines
from interlace.streaming.events import Event
from interlace.streaming.loop import Update

REFRESH_SECONDS = 0.1


def state_of(update: Update) -> str:
    """Rate, drops, latency and time of a stream.

    Example:
        >>> from interlace.streaming.loop import Update
        >>> from interlace.streaming.terminal import state_of
        >>> state_of(Update(None, 65.0, None, (), (), (), False, None, 29.97, 3, 0.0412))
        '30.0 fps   3 dropped   latency 41 ms   1:05'
    """
    latency = "" if update.latency_seconds is None else f"   latency {1000 * update.latency_seconds:.0f} ms"
    minutes, seconds = divmod(int(update.time_seconds), 60)
    return f"{update.fps:.1f} fps   {update.dropped} dropped{latency}   {minutes}:{seconds:02}"


def line_of(event: Event) -> str:
    """An event that has begun or ended.

    Example:
        >>> from interlace.streaming.events import Event
        >>> from interlace.streaming.terminal import line_of
        >>> line_of(Event("wave", 3.2, 5.8, score=0.712, peak=0.881))
        'end:   wave from 3.2 to 5.8 s, mean 71.2%, peak 88.1%'
    """
    return f"{'begin:' if event.end_seconds is None else 'end:  '} {event}"


class Terminal:
    """Prints events as lines; where somebody looks, below them one line with the label of the moment.

    Use it in a ``with``, which takes that line away again.

    Example:
        >>> from rich.console import Console
        >>> from interlace.streaming.terminal import Terminal
        >>> with Terminal(Console()) as terminal:
        ...     terminal.say("a camera")
        a camera
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._is_watched = console.is_terminal
        self._shown = 0.0
        self._is_away = False

    def say(self, line: str) -> None:
        """A line that stays."""
        line = printable_lines(line)
        if self._is_watched:
            self._console.print(Text(line), soft_wrap=True)
        else:
            print(line, file=self._console.file, flush=True)

    def __call__(self, update: Update) -> None:
        """What is new with a frame."""
        if update.away and not self._is_away:
            self.say(f"away:  {update.away}; waiting for it to come back")
        if update.gap:
            self.say(f"back:  at {update.time_seconds:.1f} s; nothing of what was before is remembered")
        self._is_away = update.away is not None
        for event in update.events:
            self.say(line_of(event))
        if self._is_watched and perf_counter() - self._shown >= REFRESH_SECONDS:
            self._shown = perf_counter()
            self._live.start()
            self._live.update(_status(update), refresh=True)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _status(update: Update) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    if not update.top:
        text.append("no answer yet", style="dim")
    for place, (label, score) in enumerate(update.top[:2]):
        is_event = any(event.label == label for event in update.running)
        style = "dim" if place else "bold green" if is_event else "bold"
        text.append(f"{'   ' if place else ''}{label} {score:.0%}", style=style)
    return text.append(f"   {state_of(update)}", style="dim")
