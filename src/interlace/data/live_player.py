"""What the decode thread does: open, decode, thin out, hand over; and open again when the source was away."""

from __future__ import annotations

import time
from threading import Event

import numpy as np
import torch
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from interlace.data.frame_index import DECODER_ERRORS
from interlace.data.live_address import Address
from interlace.data.live_connection import Connection
from interlace.data.live_mailbox import LiveFrame, Mailbox
from interlace.data.live_thinning import Thinning
from interlace.data.live_times import Lateness, Timeline
from interlace.data.pixels import to_array
from interlace.data.reader import Color, VideoError

_LATE_SECONDS = 0.3
"""Frames that come later than this are decoded in a hurry."""
_LONGEST_WAIT_SECONDS = 30.0
_FIRST_FRAME_SECONDS = 30.0
"""A source that sends for so long and gives no picture counts as broken off."""


class Player:
    """Runs in a thread of its own and knows nothing of who reads; see :func:`interlace.data.live.open_live`."""

    def __init__(
        self,
        address: Address,
        mailbox: Mailbox,
        *,
        frame_rate: float | None,
        color: Color,
        is_paced: bool,
        reconnect_seconds: float,
        max_wait_seconds: float | None,
        stall_seconds: float,
    ) -> None:
        self.address = address
        self.mailbox = mailbox
        self.stop = Event()
        self.decoded = self.damaged = self.reconnects = 0
        self.fps = 0.0
        self.size: tuple[int, int] | None = None
        self.has_end = self._comes_early = False
        self.away: str | None = None
        """Why the source is away at the moment; None while it is there."""
        self._color: Color = color
        self._is_paced = is_paced
        self._reconnect_seconds = reconnect_seconds
        self._max_wait_seconds = max_wait_seconds
        self._stall_seconds = stall_seconds
        self._thinning = Thinning(frame_rate)
        self._lateness = Lateness()
        self._reformatter = VideoReformatter()
        self._stored_size: tuple[int, int] | None = None
        self._starts_at: float | None = None
        self._last_seconds = -1.0
        self._is_after_gap = False
        self._away_since = 0.0
        self._wait_seconds = reconnect_seconds

    def run(self) -> None:
        """Play until the end or until ``stop`` is set; what goes wrong is raised where frames are taken."""
        error: BaseException | None = None
        try:
            self._play()
        except BaseException as failure:
            error = failure
        self.mailbox.finish(error)

    def _play(self) -> None:
        connection = Connection(self.address, self._stall_seconds)
        self.fps, self.has_end = connection.fps, connection.has_end
        self._stored_size, self._comes_early = connection.size, connection.comes_early
        self._timeline = Timeline(nominal_seconds=1 / self.fps, is_live=not self.has_end)
        while True:
            try:
                reason = self._drain(connection)
            finally:
                connection.close()
            again = None if reason is None else self._come_back(reason)
            if again is None:
                break
            connection = again
        if self.size is None and not self.stop.is_set():
            raise VideoError(f"{self.address.name}: no frame can be decoded; choose another source")

    def _drain(self, connection: Connection) -> str | None:
        """Hand out all that comes; why the source is gone, or None if that is all we want of it."""
        is_ended = self.has_end or self.address.kind == "pipe" or self._max_wait_seconds == 0
        opened_at = time.monotonic()
        damaged_before = self.damaged
        num_before = self.decoded
        try:
            while not self.stop.is_set():
                frames = connection.read()
                self.damaged = damaged_before + connection.damaged
                if frames is None:
                    return None if is_ended else f"{self.address.name}: it ended"
                for frame in frames:
                    self._show(frame, connection)
                if num_before == self.decoded and not self.has_end:
                    self._give_up_after(opened_at)
        except VideoError as error:
            # What has never given a picture is not waited for: it may well be a wrong address.
            if self.size is None or self.address.kind == "pipe":
                raise
            return str(error)
        return None

    def _give_up_after(self, opened_at: float) -> None:
        if time.monotonic() - opened_at > _FIRST_FRAME_SECONDS:
            raise VideoError(
                f"{self.address.name}: it sends, but gave no picture in {_FIRST_FRAME_SECONDS:g} s; "
                "check what it sends"
            )

    def _show(self, frame: VideoFrame, connection: Connection) -> None:
        if self.stop.is_set():
            return
        index, self.decoded = self.decoded, self.decoded + 1
        seconds, is_new = self._timeline.at(connection.seconds_of(frame), time.monotonic())
        self._is_after_gap = self._is_after_gap or is_new
        if self.away is not None:
            self.away, self._wait_seconds = None, self._reconnect_seconds
            self.reconnects += 1
        # A recording that broke off was opened anew, and begins at or before the place where it was.
        if seconds <= self._last_seconds or not self._thinning.wants(seconds):
            return
        pixels = self._convert(frame)
        if pixels is None:
            connection.damaged += 1
            return
        self.size = pixels.shape[1], pixels.shape[2]
        self._wait_until_due(seconds)
        self.mailbox.put(LiveFrame(pixels, seconds, index, after_gap=self._is_after_gap))
        self._last_seconds, self._is_after_gap = seconds, False
        if self._is_paced and (self._starts_at is not None or not self._comes_early):
            is_late = self._lateness.of(seconds, time.monotonic()) > _LATE_SECONDS
            self.mailbox.count_dropped(connection.hurry(is_late))

    def _convert(self, frame: VideoFrame) -> torch.Tensor | None:
        self._stored_size = self._stored_size or (frame.width, frame.height)
        try:
            picture = to_array(frame, self._reformatter, self._color, self._stored_size)
        except DECODER_ERRORS:
            return None
        return torch.from_numpy(np.require(picture, requirements="W")).permute(2, 0, 1)

    def _wait_until_due(self, seconds: float) -> None:
        """What could come too early plays at its own speed from when someone begins to look; frame 0 at once."""
        if not (self._is_paced and self._comes_early) or self._last_seconds < 0:
            return
        if self._starts_at is None:
            self._starts_at = self.mailbox.wait_for_reader()
        self.stop.wait(max(0.0, self._starts_at + seconds - time.monotonic()))

    def _come_back(self, reason: str) -> Connection | None:
        """Open the source again, with waits that grow; None if we are stopped.

        Raises:
            VideoError: it stayed away for longer than it may.
        """
        if self.away is None:
            self._away_since = time.monotonic()
        self.away = reason
        while True:
            wait = self._wait_seconds
            if self._max_wait_seconds is not None:
                remaining = self._away_since + self._max_wait_seconds - time.monotonic()
                if remaining <= 0:
                    raise VideoError(
                        f"{self.away} (and it did not come back in {self._max_wait_seconds:g} s)"
                    )
                wait = min(wait, remaining)
            if self.stop.wait(wait):
                return None
            self._wait_seconds = max(wait, min(2 * wait, _LONGEST_WAIT_SECONDS))
            try:
                connection = Connection(self.address, self._stall_seconds)
            except VideoError as error:
                self.away = str(error)
                continue
            if self.has_end:
                connection.seek(self._last_seconds)
                self._timeline.rewind()
            else:
                self._timeline.restart()
                self._lateness = Lateness()
                self._is_after_gap = True
            return connection
