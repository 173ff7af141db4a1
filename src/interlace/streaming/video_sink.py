"""A video file of pictures that come one after another."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8
from torch import Tensor

from interlace.data.frame_index import DECODER_ERRORS
from interlace.files import whole_file

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Exact at 24, 25, 30, 60 and 29.97 frames a second; MPEG-4 has no more than 65535 ticks a second.
_TICKS_PER_SECOND = 30_000
_CODECS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},  # 118 is FFmpeg's unit of quality
}
# What a killed process leaves can be played: at once on the disk, and in pieces until closing makes them one.
_OPTIONS = {"flush_packets": "1", "movflags": "hybrid_fragmented"}
_SECONDS_PER_PIECE = 2.0
_BT709, _LIMITED = 1, 1


class VideoSink:
    """Writes pictures to a video file; close it, or use it in a ``with``.

    The file takes its name when it is closed, also after Ctrl-C or an error of whoever writes: what was written until
    then is a whole video. After a kill it lies beside it as ``.NAME.*.part``, until the next
    recording of that name. Without a single picture, or after an error of the encoder, there is no file, and an
    earlier one of this name stays.

    H.264 where this FFmpeg has it, else MPEG-4. A last row or column is doubled where a side is odd. Pictures of
    another size (a camera came back as another one) are stretched to the first size.

    Raises:
        ValueError: a name that ends in something else than .mp4, .m4v, .mov or .mkv, or a folder; a rate or a side
            that is not above zero.
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from interlace.data import video
        >>> from interlace.streaming.video_sink import VideoSink
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "seen.mp4"
        >>> with VideoSink(path, frame_rate=5.0, height=33, width=47) as sink:
        ...     for second in (0.0, 0.2, 1.0):
        ...         sink.write(torch.full((3, 33, 47), 90, dtype=torch.uint8), second)
        >>> with video.open(path) as seen:
        ...     print(seen.num_frames, seen.height, seen.width, seen.pts_seconds.tolist())
        3 34 48 [0.0, 0.2, 1.0]
    """

    def __init__(self, path: str | Path, frame_rate: float, height: int, width: int) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in _FORMATS:
            raise ValueError(
                f"{path}: no kind of video that can be written; end the name in {', '.join(_FORMATS)}"
            )
        if self.path.is_dir():
            raise ValueError(f"{path}: it is a folder; give the name of a file")
        if not (frame_rate > 0 and height > 0 and width > 0):
            raise ValueError(
                f"{path}: no video of {height} x {width} pixels at {frame_rate:g} frames a second; "
                "all of these are above 0"
            )
        self.height, self.width = height, width
        self.num_frames = 0
        self._ticks_per_frame = _TICKS_PER_SECOND / frame_rate
        self._last_tick = -1
        self._is_closed = self._has_failed = False
        self._file = ExitStack()
        beside = self._file.enter_context(whole_file(self.path))
        try:
            self._container, self._stream = _open(beside, self.path.suffix.lower(), frame_rate, height, width)
        except BaseException:
            self._throw_away()
            raise

    def write(self, picture: UInt8[Tensor, "C H W"], time_seconds: float | None = None) -> None:
        """Append a picture (C = 3, or 1 for gray), shown from ``time_seconds`` on; None: one period after the last.

        Raises:
            ValueError: the sink is closed, or the picture has another number of channels.
        """
        if self._is_closed:
            raise ValueError(f"{self.path}: the video is closed; nothing more can be written to it")
        if picture.shape[0] not in (1, 3):
            raise ValueError(
                f"{self.path}: a picture of {picture.shape[0]} channels; it has 3, or 1 for gray"
            )
        pixels = np.broadcast_to(
            picture.permute(1, 2, 0).numpy(), (*picture.shape[1:], 3)
        )  # (C, H, W) -> (H, W, 3)
        try:
            self._encode(self._frame(np.ascontiguousarray(pixels), self._tick(time_seconds)))
        except Exception:
            self._has_failed = True
            raise
        self.num_frames += 1

    def _frame(self, pixels: UInt8[np.ndarray, "H W 3"], tick: int) -> av.VideoFrame:
        if pixels.shape[:2] == (self.height, self.width):
            pixels = np.pad(pixels, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
            self._stream.width,
            self._stream.height,
            "yuv420p",
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
        )
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_PER_SECOND)
        frame.duration = max(1, round(self._ticks_per_frame))
        return frame

    def _tick(self, time_seconds: float | None) -> int:
        """Rising, whatever the times are."""
        if time_seconds is None:
            tick = 0 if self._last_tick < 0 else self._last_tick + round(self._ticks_per_frame)
        else:
            tick = round(time_seconds * _TICKS_PER_SECOND)
        self._last_tick = max(tick, self._last_tick + 1)
        return self._last_tick

    def _encode(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the video and give it its name."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.num_frames == 0 or self._has_failed:
            self._throw_away()
            return
        try:
            self._encode(None)
            self._container.close()
        except Exception:
            self._throw_away()
            raise
        except BaseException:  # Ctrl-C once more: without the last frames it still is a whole video
            self._container.close()
            self._file.close()
            raise
        self._file.close()

    def _throw_away(self) -> None:
        if hasattr(self, "_container"):
            with suppress(*DECODER_ERRORS):
                self._container.close()
        nothing = FileNotFoundError(f"{self.path}: no whole video")
        self._file.__exit__(FileNotFoundError, nothing, None)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(
    file: Path, suffix: str, frame_rate: float, height: int, width: int
) -> tuple[OutputContainer, VideoStream]:
    codec = next(codec for codec in _CODECS if codec in av.codecs_available)
    container = av.open(str(file), "w", format=_FORMATS[suffix], container_options=_OPTIONS)
    try:
        rate = Fraction(frame_rate).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=_CODECS[codec])
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_SECOND)
        context.gop_size = max(1, round(_SECONDS_PER_PIECE * frame_rate))
        context.thread_count = 1
        # Said, as players guess by the size what is not said.
        context.colorspace, context.color_range = _BT709, _LIMITED
        context.color_primaries = context.color_trc = _BT709
    except BaseException:
        container.close()
        raise
    return container, stream
