"""Which frames the decoder may leave out on its way to a wanted one.

    decoded     I   P   b   B   b   P   b   B   b        b: no other frame is predicted from it
    wanted              *
    skipped                     b       b       b        and those before the last wanted frame alone

Nothing is predicted from a frame that is no reference, so leaving it out changes no other frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from av.packet import Packet
from av.video.stream import VideoStream

# In H.264 the packet itself says so (nal_ref_idc). HEVC's mark holds within one temporal layer only.
_TELLS = ("h264",)


class Skipper:
    """Tells one track's decoder, packet by packet, whether it may skip what is no reference.

    Only where it decodes in one thread: then a packet is dealt with before the next one is handed over.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self._context = context if context.name in _TELLS and context.thread_count == 1 else None
        self._wanted: Collection[int] = ()
        self._last: int | None = None

    def aim(self, wanted: Collection[int], last: int | None) -> None:
        """Frames shown before the time ``last`` may be skipped, but for these; None: none may be.

        Those after it are all decoded, because the next aim may be one of them.
        """
        self._wanted, self._last = wanted, last

    def watch(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        """The same packets; the decoder is told of each before it is handed out."""
        if self._context is None:
            yield from packets
            return
        for packet in packets:
            self._context.skip_frame = "NONREF" if self._is_spare(packet.pts) else "DEFAULT"
            yield packet

    def _is_spare(self, pts: int | None) -> bool:
        return self._last is not None and pts is not None and pts < self._last and pts not in self._wanted
