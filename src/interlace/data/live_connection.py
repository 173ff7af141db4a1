"""One open source: packets in, frames out, until it ends or breaks off."""

from __future__ import annotations

import time
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from interlace.data.frame_index import DECODER_ERRORS
from interlace.data.limits import PIXELS, decoding_options, opening_options
from interlace.data.live_address import Address
from interlace.data.live_errors import why_broken, why_not_open
from interlace.data.reader import VideoError
from interlace.data.tracks import open_track

_NO_FRAME_YET_SECONDS = 0.01


class Connection:
    """Opens the source at once; every wait for a camera or the network ends after ``stall_seconds``.

    Raises:
        VideoError: it cannot be opened, or holds no video.
    """

    def __init__(self, address: Address, stall_seconds: float) -> None:
        self._address = address
        self._stall_seconds = stall_seconds
        self.damaged = 0
        """Packets that could not be decoded, pictures that could not be converted or are made up in part."""
        self._skips = False
        self._num_packets = self._num_frames = self._skipped = self._held = 0
        self._container, self._stream = _open(address, stall_seconds)
        self._packets = self._container.demux(self._stream)
        self._last_read = time.monotonic()
        self._is_drained = False
        self._broken: str | None = None

    @property
    def fps(self) -> float:
        """Frames a second by the header; 25 if it does not say."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else 25.0

    @property
    def has_end(self) -> bool:
        """True for a recording: its header says how long it lasts."""
        return self._address.kind == "file" or bool(self._container.duration)

    @property
    def comes_early(self) -> bool:
        """True if frames may come faster than they are shown: a recording, a pipe, a stream in segments."""
        is_segmented = self._container.format.name.startswith(("hls", "dash"))
        return self.has_end or self._address.kind == "pipe" or is_segmented

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) as stored, before it is made upright; None if the header does not say."""
        context = self._stream.codec_context
        return (context.width, context.height) if context.width and context.height else None

    def read(self) -> list[VideoFrame] | None:
        """The frames that the next packet gives, often one or none; None at the end.

        Raises:
            VideoError: a camera or a URL broke off. A file that does so ends there, and counts as damaged.
        """
        try:
            packet = next(self._packets, None)
        except BlockingIOError:  # a camera that has no new frame yet
            if time.monotonic() - self._last_read < self._stall_seconds:
                time.sleep(_NO_FRAME_YET_SECONDS)
                self._packets = self._container.demux(self._stream)
                return []
            self._broken = why_broken(TimeoutError(), self._stall_seconds)
            packet = None
        except DECODER_ERRORS as error:
            self._broken = why_broken(error, self._stall_seconds)
            packet = None
        self._last_read = time.monotonic()
        if packet is not None and not packet.size:
            return []  # it says "as before", or "the end"
        if packet is None and self._is_drained:
            self._end()
            return None
        self._is_drained = packet is None
        self._num_packets += packet is not None
        try:
            frames = self._stream.decode(packet)
        except DECODER_ERRORS:
            self.damaged += 1
            self._num_packets -= packet is not None
            return []
        self._num_frames += len(frames)
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def seconds_of(self, frame: VideoFrame) -> float | None:
        """Its time stamp. By the track's ticks: what the decoder had held back at the end comes without its own."""
        ticks = self._stream.time_base
        return None if frame.pts is None or ticks is None else float(frame.pts * ticks)

    def _end(self) -> None:
        """All frames are out, also those that the decoder had held back."""
        if self._broken is None:
            return
        if self._address.kind != "file":
            raise VideoError(f"{self._address.name}: {self._broken}")
        self.damaged += 1

    def hurry(self, is_late: bool) -> int:
        """Whether to pass over frames that no other is predicted from; returns how many went that way since last asked.

        What goes in and does not come out has been passed over, but for what the decoder holds back at any time.
        """
        self._stream.codec_context.skip_frame = "NONREF" if is_late else "DEFAULT"
        inside = self._num_packets - self._num_frames - self._skipped
        passed = max(0, inside - self._held) if self._skips else 0
        if not self._skips:
            self._held = inside
        self._skips = is_late
        self._skipped += passed
        return passed

    def seek(self, time_seconds: float) -> None:
        """Go near to this time since the start, or before it, where the source lets us."""
        start = self._container.start_time or 0
        try:
            self._container.seek(start + int(time_seconds * av.time_base))
        except DECODER_ERRORS:
            return  # the frames in between are read
        self._packets = self._container.demux(self._stream)

    def close(self) -> None:
        """Let go of the file, the camera or the connection."""
        self._container.close()


def _open(address: Address, stall_seconds: float) -> tuple[InputContainer, VideoStream]:
    if address.kind == "file":
        return open_track(Path(address.url), 1)
    try:
        container = av.open(
            address.url, format=address.format, options=_options(address), timeout=stall_seconds
        )
    except DECODER_ERRORS as error:
        # Not "from error": FFmpeg's own message has the URL with its password.
        raise VideoError(f"{address.name}: {why_not_open(address, error, stall_seconds)}") from None
    try:
        return container, _choose_track(address, container)
    except BaseException:
        container.close()
        raise


def _choose_track(address: Address, container: InputContainer) -> VideoStream:
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or best.disposition & Disposition.attached_pic:
        raise VideoError(f"{address.name}: it sends no video; choose another source")
    if best.codec_context is None:
        raise VideoError(f"{address.name}: this FFmpeg has no decoder for its video; have it send H.264")
    PIXELS.check(address.name, best.codec_context.width * best.codec_context.height, VideoError)
    best.codec_context.thread_count = 1
    best.codec_context.options = {**best.codec_context.options, **decoding_options()}
    return best


def _options(address: Address) -> dict[str, str]:
    """A pipe may hold anything but the names of files to read; what a server sends is read over the network only."""
    limits = opening_options() if address.kind == "pipe" else decoding_options()
    return {**limits, **address.options}
