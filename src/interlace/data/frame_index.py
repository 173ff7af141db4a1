"""Which frames a file holds and when each is shown: from its packets where they tell, else by decoding once.

Packets tell in MP4/MOV, Matroska/WebM and FLV, and in AVI without B-frames: one packet is one shown frame and
carries its time. Elsewhere times are missing or invented (AVI with B-frames, raw streams, MPEG program and
transport streams, Ogg), and only what the decoder gives out is a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from av import VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from interlace.data.limits import FRAMES, PIXELS
from interlace.data.reader import VideoError

# Not every error of PyAV is an FFmpegError: some are the built-in that fits.
DECODER_ERRORS = (FFmpegError, ValueError, OSError, MemoryError, RuntimeError)
_TIMED_FORMATS = {"mov", "matroska", "flv"}
_PACKETS_A_FRAME = 2
"""Fields that come one by one."""


class ReadError(NamedTuple):
    """One failure of the decoder."""

    pts: int | None
    """The packet's time, if it has one."""
    reason: str


@dataclass(frozen=True)
class FrameIndex:
    """Frames in the order in which they are shown."""

    pts: list[int] | None
    """Presentation times in the stream's time base, rising; None: the decoder's order is all there is."""
    num_frames: int
    key_frames: list[int]
    """Positions at which decoding can start; always begins with 0."""
    last_duration: int
    """How long the last frame is shown, in the time base; 0 if the file does not say."""
    errors: list[ReadError]
    """What went wrong on the way; the file is damaged if there is any."""
    is_reordered: bool = False
    """The packets stand in another order than the frames are shown."""


def index_by_packets(container: InputContainer, stream: VideoStream) -> FrameIndex | None:
    """Read all packets and decode none; None if they do not tell which frames are shown, and when."""
    name = container.format.name.split(",")[0]
    if name not in _TIMED_FORMATS and not (name == "avi" and not stream.codec_context.has_b_frames):
        return None
    errors: list[ReadError] = []
    first: Packet | None = None
    shown: list[tuple[int | None, bool, int]] = []
    most = FRAMES.value
    for packet in packets_of(container, stream, errors):
        first = first or packet
        if packet.is_discard or _is_hidden(packet, stream.codec_context.name):
            continue  # outside the edit list, or a picture only kept for reference
        if packet.is_corrupt:
            errors.append(ReadError(packet.pts, "a packet is incomplete"))
        shown.append((packet.pts, packet.is_keyframe, packet.duration or 0))
        if len(shown) > most:
            FRAMES.check(_name(container), len(shown), VideoError)
    order = sorted((pts, is_key, duration) for pts, is_key, duration in shown if pts is not None)
    times = [pts for pts, _, _ in order]
    if len(set(times)) < len(shown):
        return None
    if first is None or not order:
        return FrameIndex([], 0, [0], 0, errors)
    if not first.is_keyframe or (first.pts is not None and times[0] < first.pts):
        return None  # the stream was cut: what is shown before its first key frame cannot be decoded
    keys = [position for position, (_, is_key, _) in enumerate(order) if is_key and position > 0]
    is_reordered = [pts for pts, _, _ in shown if pts is not None] != times
    return FrameIndex(times, len(times), [0, *keys], order[-1][2], errors, is_reordered)


def index_by_decoding(container: InputContainer, stream: VideoStream) -> FrameIndex:
    """Decode everything once and count what comes out."""
    errors: list[ReadError] = []
    times: list[int | None] = []
    keys: list[int] = []
    duration, most = 0, FRAMES.value
    for frame in frames_of(container, stream, errors):
        if len(times) == most:
            FRAMES.check(_name(container), len(times) + 1, VideoError)
        if frame.key_frame:
            keys.append(len(times))
        times.append(frame.pts)
        duration = frame.duration or 0
    known = [pts for pts in times if pts is not None]
    is_timed = len(known) == len(times) and all(a < b for a, b in pairwise(known))
    # Without times a seek cannot be checked, so decoding always starts at the front.
    keys = [0, *(key for key in keys if key > 0)] if is_timed else [0]
    return FrameIndex(known if is_timed else None, len(times), keys, duration, errors)


def packets_of(container: InputContainer, stream: VideoStream, errors: list[ReadError]) -> Iterator[Packet]:
    """The packets of one track that hold data; a read error ends them and is put on record.

    Raises:
        VideoError: there are more than :data:`interlace.data.limits.FRAMES` allows.
    """
    packets = container.demux(stream)
    num_packets, most = 0, _PACKETS_A_FRAME * FRAMES.value
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # PyAV's end of a file in which another track turned up midway
            return
        except DECODER_ERRORS as error:
            errors.append(ReadError(None, f"the file breaks off: {error_text(error)}"))
            return
        num_packets += 1
        if num_packets > most:
            FRAMES.check(_name(container), num_packets, VideoError)
        if packet.size:  # an empty one says "as before" or "the end"
            yield packet


def frames_of(
    container: InputContainer,
    stream: VideoStream,
    errors: list[ReadError],
    packets: Iterator[Packet] | None = None,
) -> Iterator[VideoFrame]:
    """Decode on from where the container stands; a packet that fails is put on record and passed over."""
    for packet in packets or packets_of(container, stream, errors):
        try:
            frames = stream.decode(packet)
        except DECODER_ERRORS as error:
            errors.append(ReadError(packet.pts, _decoder_reason(error, container, stream)))
        else:
            yield from frames
    try:
        frames = stream.decode(None)
    except DECODER_ERRORS as error:
        errors.append(ReadError(None, error_text(error)))
    else:
        yield from frames


def error_text(error: BaseException) -> str:
    """The reason alone, without the number and the file name that FFmpeg's errors carry."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _decoder_reason(error: BaseException, container: InputContainer, stream: VideoStream) -> str:
    """Why a packet gave no frame; a frame larger than the limit is an error of its own.

    Some decoders then keep the size that they refused, others forget the one that they had.
    """
    context = stream.codec_context
    PIXELS.check(_name(container), context.width * context.height, VideoError)
    may_be_large = f", or a frame of more pixels than {PIXELS.variable}={PIXELS.value}"
    return error_text(error) + ("" if context.width else may_be_large)


def _name(container: InputContainer) -> str:
    return container.name.removeprefix("file:")


def _is_hidden(packet: Packet, codec: str) -> bool:
    """VP8 keeps pictures for reference in packets of their own (RFC 6386, 9.1: bit 4 is show_frame)."""
    return codec in ("vp8", "libvpx") and not memoryview(packet)[0] & 0x10
