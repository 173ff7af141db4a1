"""Frames as they come: of a camera, a file that plays, or a URL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Literal

from interlace.data.live_address import Address, address_of
from interlace.data.live_mailbox import LiveFrame, Mailbox
from interlace.data.live_player import Player
from interlace.data.reader import Color

__all__ = ["LiveFrame", "LiveSource", "Pace", "open_live"]

Pace = Literal["real", "fast"]

_JOIN_SECONDS = 2.0
"""How long closing waits for a thread that is inside FFmpeg; a silent network holds it up to ``stall_seconds``."""


def open_live(
    source: str | Path | int,
    *,
    frame_rate: float | None = None,
    color: Color = "rgb",
    pace: Pace = "real",
    reconnect_seconds: float = 1.0,
    max_wait_seconds: float | None = 60.0,
    stall_seconds: float = 10.0,
) -> LiveSource:
    """Open a camera by its index, a file, any URL that FFmpeg reads, or ``-`` for what is piped in; close it, or use
    it in a ``with``. The first frame has been decoded when this returns.

    ``frame_rate`` takes about so many frames a second, by their time stamps; None takes all. At ``pace="real"`` a
    recording plays at its own speed, and whoever reads too slowly gets the newest frame, while those before it are
    dropped and counted. At ``"fast"`` nothing is dropped and nothing waits for its time.

    A recording ends. A camera or a live URL that ends, breaks off or is silent for ``stall_seconds`` is opened again:
    after ``reconnect_seconds``, then after ever longer waits of up to 30 s, until it has been away for
    ``max_wait_seconds`` (None: for ever). With 0 its end is the end.

    Raises:
        VideoError: there is no such camera, file or address; it may not be used; it holds no video. While frames
            are read: it stayed away.
        ValueError: a number that means nothing.

    Example:
        >>> from interlace.data.live import open_live
        >>> with open_live(0, frame_rate=8.0) as camera:  # doctest: +SKIP
        ...     for frame in camera:
        ...         print(frame.time_seconds, frame.pixels.shape, frame.dropped_before)
        0.0 torch.Size([3, 480, 640]) 0
        0.133 torch.Size([3, 480, 640]) 0
    """
    if color not in ("rgb", "gray"):
        raise ValueError(f"color={color!r} is unknown; choose one of rgb, gray")
    if pace not in ("real", "fast"):
        raise ValueError(f"pace={pace!r} is unknown; choose one of real, fast")
    if not reconnect_seconds > 0 or not stall_seconds > 0:
        raise ValueError(
            f"reconnect_seconds={reconnect_seconds} and stall_seconds={stall_seconds} are waits; give more than 0"
        )
    if max_wait_seconds is not None and not max_wait_seconds >= 0:
        raise ValueError(f"max_wait_seconds={max_wait_seconds} is no time; give 0 or more, or None for ever")
    player = Player(
        address_of(source),
        Mailbox(keep_all=pace == "fast"),
        frame_rate=frame_rate,
        color=color,
        is_paced=pace == "real",
        reconnect_seconds=reconnect_seconds,
        max_wait_seconds=max_wait_seconds,
        stall_seconds=stall_seconds,
    )
    opened = LiveSource(player)
    try:
        player.mailbox.wait_for_frame()
    except BaseException:
        opened.close()
        raise
    return opened


class LiveSource:
    """An open source: iterate over it, or ask for one frame at a time. A context manager.

    One thread decodes and holds one frame, so that memory does not grow however slowly frames are taken. The
    source and its thread end with :meth:`close`, which may be called from any thread, and at the latest when nothing
    refers to it any more.
    """

    def __init__(self, player: Player) -> None:
        self._player = player
        # A daemon, so that a camera that hangs inside its driver cannot keep the program from ending.
        self._thread = Thread(target=player.run, name="interlace-live", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where frames come from; its ``name`` may be printed."""
        return self._player.address

    @property
    def decoded(self) -> int:
        """Frames decoded so far, wanted or not."""
        return self._player.decoded

    @property
    def dropped(self) -> int:
        """Frames that nobody took in time, and those left out because decoding was late."""
        return self._player.mailbox.dropped

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded, pictures that could not be converted or are made up in part."""
        return self._player.damaged

    @property
    def reconnects(self) -> int:
        """How often the source came back."""
        return self._player.reconnects

    @property
    def away(self) -> str | None:
        """Why the source is away at the moment; None while it is there."""
        return self._player.away

    @property
    def fps(self) -> float:
        """Frames a second as the source says, before they are thinned out; 25 if it does not."""
        return self._player.fps

    @property
    def height(self) -> int:
        """Rows of an upright frame."""
        return self._size[0]

    @property
    def width(self) -> int:
        """Columns of an upright frame."""
        return self._size[1]

    @property
    def is_file(self) -> bool:
        """True for what ends: a file, or a recording behind a URL."""
        return self._player.has_end

    @property
    def is_over(self) -> bool:
        """True once there is no frame left and none will come."""
        return self._player.mailbox.is_over

    def next_frame(self, timeout_seconds: float | None = None) -> LiveFrame | None:
        """The next frame; None if none comes in this time, or ever (then ``is_over`` is true).

        Raises:
            VideoError: the source stayed away for longer than it may.
        """
        return self._player.mailbox.take(timeout_seconds)

    def close(self) -> None:
        """Stop decoding and let go of the source; frames that were not taken are thrown away.

        Waits for the thread. If that is held up by a network that is silent or a camera that hangs, it is left
        after 2 s, and closes what it holds by itself as soon as it can.
        """
        self._player.stop.set()
        self._player.mailbox.close()
        self._thread.join(_JOIN_SECONDS)

    @property
    def _size(self) -> tuple[int, int]:
        assert self._player.size is not None, "open_live waits for the first frame"
        return self._player.size

    def __iter__(self) -> Iterator[LiveFrame]:
        while (frame := self.next_frame()) is not None:
            yield frame

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_player"):  # without a wait: whoever collects garbage is not to be held up
            self._player.stop.set()
            self._player.mailbox.close()

    def __repr__(self) -> str:
        return f"LiveSource({self.address.name!r}, {self.decoded} frames decoded, {self.dropped} dropped)"
