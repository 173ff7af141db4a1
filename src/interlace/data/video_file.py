"""A video file, decoded with FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from av import VideoFrame
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from interlace.data.file_state import require_disk, require_same, state_of, unchanged
from interlace.data.frame_index import (
    DECODER_ERRORS,
    FrameIndex,
    ReadError,
    error_text,
    frames_of,
    index_by_decoding,
    index_by_packets,
    packets_of,
)
from interlace.data.limits import SECONDS
from interlace.data.out_of_memory import require_memory
from interlace.data.pixels import display_matrix, swaps_sides, to_array
from interlace.data.reader import Color, OnError, VideoError, VideoReader
from interlace.data.seek import plan
from interlace.data.skip import Skipper
from interlace.data.tracks import describe_tracks, open_track, promised_seconds

# A packet of these codecs may rightly hold no picture ("not coded"): the frame before is shown on.
_MAY_REPEAT = ("mpeg4", "msmpeg4", "h263", "flv", "theora", "vp8", "vp9")


class VideoFile(VideoReader):
    """A video file; one decode thread unless more are asked for.

    Opening reads all packets once, for the count and the times, and decodes nothing (but see
    :mod:`interlace.data.frame_index` for formats that do not tell). Frames are found by their time, so that a
    frame reached by a seek is the frame that a full decode gives. A file that changes between its opening and the
    end of a reading is an error, whatever ``on_error`` says: its frames may be of either version.
    """

    def __init__(
        self,
        path: Path,
        *,
        color: Color = "rgb",
        on_error: OnError = "raise",
        short_side: int | None = None,
        num_threads: int = 1,
    ) -> None:
        super().__init__(path, color, on_error, short_side)
        self._num_threads = num_threads
        self._reformatter = VideoReformatter()
        self._is_closed = False
        self._errors: list[ReadError] = []
        self._size: tuple[int, int] | None = None
        self._swaps_sides = False
        self._patched: set[int] = set()  # frames of which the decoder made up a part
        self._takes_short_cuts = True  # seeks, and skips what is no reference
        self._frames: Iterator[tuple[int, VideoFrame]] | None = None
        self._current = -1
        self._is_probed = False
        self._state = state_of(path)
        with unchanged(path, self._state):
            self._container, self._stream = open_track(path, num_threads)
            try:
                self._open_frames()
                require_same(path, self._state)
            except BaseException:
                self.close()
                raise

    def _open_frames(self) -> None:
        self._skipper = Skipper(self._stream)
        self.notes += describe_tracks(self._container, self._stream)
        self._index = self._make_index()
        self._key_frames = self._index.key_frames
        self._describe_times()

    def _make_index(self) -> FrameIndex:
        index = index_by_packets(self._container, self._stream)
        if index is None:
            self._reopen(probe=True)
            index = index_by_decoding(self._container, self._stream)
        elif self._stream.codec_context.pix_fmt is None and not self._tells_delay(index):
            self._reopen(probe=True)
        reason = index.errors[0].reason if index.errors else "no data"
        self._require_computer(reason)
        if index.num_frames == 0:
            raise VideoError(f"{self.path}: its video track holds no frame ({reason}); replace the file")
        if index.errors and self.on_error == "raise":
            raise VideoError(
                f"{self.path}: damaged after {index.num_frames} readable frames ({reason}); replace it, "
                'or read it with on_error="skip" to use what is there'
            )
        if index.errors:
            self._note_damage(f"damaged: {len(index.errors)} read errors ({reason})")
        return index

    def _tells_delay(self, index: FrameIndex) -> bool:
        """False if only a look at frames tells how long the decoder holds one back (MP4 in fragments)."""
        return not index.is_reordered or self._stream.frames >= index.num_frames

    def _describe_times(self) -> None:
        index, stream = self._index, self._stream
        self.num_frames = index.num_frames
        rate = stream.average_rate or stream.guessed_rate
        nominal = 1 / float(rate) if rate else 1 / 25
        if index.pts is None or stream.time_base is None:
            self.pts_seconds = torch.arange(self.num_frames, dtype=torch.float64) * nominal
            self.notes.append(f"no usable timestamps, taken as {1 / nominal:.3g} frames a second")
            last = nominal
        else:
            tick = float(stream.time_base)
            times = torch.tensor(index.pts, dtype=torch.float64)
            self.pts_seconds = (times - times[0]) * tick
            gaps = (self.pts_seconds[-1] / (self.num_frames - 1)).item() if self.num_frames > 1 else nominal
            last = index.last_duration * tick or gaps
        self.duration_seconds = self.pts_seconds[-1].item() + last
        SECONDS.check(self.path, self.duration_seconds, VideoError)
        self.fps = self.num_frames / self.duration_seconds
        promised = promised_seconds(self._container, stream)
        if self.duration_seconds < 0.9 * promised - 0.5:
            held = f"{self.duration_seconds:.1f} of the {promised:.1f} s"
            self._note(f"cut off? It holds {held} that its header promises")
        self._position_of = {pts: position for position, pts in enumerate(index.pts or ())}

    @property
    def height(self) -> int:
        """Rows of the upright frame; decodes one frame, as only that tells how it is to be turned."""
        width, height = self._upright_size()
        return width if self._swaps_sides else height

    @property
    def width(self) -> int:
        """Columns of the upright frame."""
        width, height = self._upright_size()
        return height if self._swaps_sides else width

    def _upright_size(self) -> tuple[int, int]:
        if self._size is None:
            for _, frame in self._decode_from(0):
                self._see(frame)
                break
            self._frames, self._current = None, -1
        if self._size is None:
            raise VideoError(f"{self.path}: no frame can be decoded ({self._reason(0)}); replace the file")
        return self._size

    def _see(self, frame: VideoFrame) -> tuple[int, int]:
        """The stored size; the first frame that is decoded tells how all are to be turned."""
        if self._size is None:
            # The header's size where it has one, so that it does not matter which frame is read first.
            header = self._stream.codec_context
            self._size = header.width or frame.width, header.height or frame.height
            matrix = display_matrix(frame)
            self._swaps_sides = swaps_sides(matrix)
            if matrix is not None and (matrix[0, 0] <= 0 or matrix[1, 1] <= 0):
                turn = f"turned by {-frame.rotation % 360} degrees" if frame.rotation else "mirrored"
                self._note(f"{turn}, made upright")
            if any(component.is_alpha for component in frame.format.components):
                self._note("the alpha channel is dropped")
        if (frame.width, frame.height) != self._size:
            self._note(f"the picture size changes midway: frames are scaled to {self._size}")
        return self._size

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        with unchanged(self.path, self._state):
            return self._read_pictures(wanted)

    def _read_pictures(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        pictures = self._collect(wanted)
        if self._takes_short_cuts and (self._errors or self._patched or len(pictures) < len(wanted)):
            # Damage, or a key frame that does not let the decoder start afresh: only the whole way decides.
            self._takes_short_cuts, self._key_frames = False, [0]
            self._frames, self._current = None, -1
            self._errors.clear()
            self._patched.clear()
            pictures = self._collect(wanted)
        self._tell_damage()
        if self.on_error == "raise" and (self._errors or self._patched):
            # Also where another frame was wanted: what follows a damaged frame is predicted from it.
            raise self._damage_error()
        return pictures

    def _collect(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        pictures: dict[int, UInt8[np.ndarray, "H W C"]] = {}
        remaining = set(wanted)
        times = self._index.pts if self._takes_short_cuts else None
        wanted_times = {times[position] for position in wanted} if times else ()
        for seek_to, last in plan(wanted, self._key_frames, self._current):
            self._skipper.aim(wanted_times, times[last] if times else None)
            if seek_to is not None or self._frames is None:
                self._frames = self._decode_from(seek_to or 0)
            elif self._current >= last:
                continue  # the step before had to go further, past damaged frames
            self._current = self.num_frames  # unless a frame stops us
            for position, frame in self._frames:
                if position in remaining:
                    remaining.discard(position)
                    pictures[position] = self._convert(position, frame)
                if position >= last:
                    self._current = position
                    break
        return pictures

    def _convert(self, position: int, frame: VideoFrame) -> UInt8[np.ndarray, "H W C"]:
        if frame.is_corrupt:
            self._patched.add(position)
        size = self._see(frame)
        try:
            return to_array(frame, self._reformatter, self.color, size)
        except DECODER_ERRORS as error:
            require_memory(self.path, error_text(error))
            raise VideoError(
                f"{self.path}: frame {position} cannot be converted from {frame.format.name} "
                f"({error_text(error)}); convert the video to H.264"
            ) from error

    def _decode_from(self, key: int) -> Iterator[tuple[int, VideoFrame]]:
        """Positions and frames from the key frame at this position on, in the order shown."""
        self._check_open()
        packets = None if self._index.pts is None else self._seek(self._index.pts[key])
        if packets is None:
            self._reopen()
            key = 0
        packets = packets or packets_of(self._container, self._stream, self._errors)
        frames = frames_of(self._container, self._stream, self._errors, self._skipper.watch(packets))
        # Generators that do not know the reader, so that an abandoned reader is freed at once.
        if self._index.pts is None:
            return enumerate(frames)
        return _by_time(frames, self._position_of, key)

    def _seek(self, target: int) -> Iterator[Packet] | None:
        """The packets from the key frame of this time on; None if we cannot land there or before."""
        try:
            self._container.seek(target, backward=True, stream=self._stream)
        except DECODER_ERRORS:
            return None
        packets = packets_of(self._container, self._stream, self._errors)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        if first is None or first.pts is None or first.pts > target:
            return None
        return chain([first], packets)

    def _find_blank(self) -> list[int]:
        with unchanged(self.path, self._state):
            return self._decode_all()

    def _decode_all(self) -> list[int]:
        """The positions that give no picture."""
        blank = set(range(self.num_frames))
        self._errors.clear()
        self._skipper.aim((), None)
        for position, frame in self._decode_from(0):
            self._see(frame)
            if frame.is_corrupt:
                self._patched.add(position)
            blank.discard(position)
        self._frames, self._current = None, -1
        self._tell_damage()
        return sorted(blank)

    def _blank_is_damage(self) -> bool:
        return bool(self._errors) or not self._stream.codec_context.name.startswith(_MAY_REPEAT)

    def _reason(self, position: int) -> str:
        own = [error.reason for error in self._errors if self._position(error) == position]
        return (own + [error.reason for error in self._errors] + ["the decoder gives no picture for it"])[0]

    def _tell_damage(self) -> None:
        """Put on record, once, that the decoder made up parts of pictures."""
        for error in self._errors:
            self._require_computer(error.reason)
        if self._patched and not self.is_damaged:
            self._note_damage(
                f"damaged: the decoder has patched pictures, one of them frame {min(self._patched)}"
            )
        self.is_damaged = self.is_damaged or bool(self._errors or self._patched)

    def _require_computer(self, reason: str) -> None:
        """Raise if it is not the file that is at fault."""
        require_disk(self.path, reason)
        require_memory(self.path, reason)

    def _damage_error(self) -> VideoError:
        position, reason = min(self._patched, default=None), "its data are damaged"
        if self._errors:
            position, reason = self._position(self._errors[0]), self._errors[0].reason
        where = "a frame" if position is None else f"frame {position} of {self.num_frames}"
        return VideoError(
            f"{self.path}: {where} cannot be decoded ({reason}); replace the file, or read it with "
            'on_error="skip" to let the nearest decodable frame stand in'
        )

    def _position(self, error: ReadError) -> int | None:
        return None if error.pts is None else self._position_of.get(error.pts)

    def _reopen(self, *, probe: bool = False) -> None:
        self._container.close()
        self._is_probed = self._is_probed or probe
        self._container, self._stream = open_track(self.path, self._num_threads, probe=self._is_probed)
        self._skipper = Skipper(self._stream)

    def _check_open(self) -> None:
        if self._is_closed:
            raise VideoError(f"{self.path}: the reader is closed; open the video again")

    def close(self) -> None:
        """Free the file; reading afterwards is an error."""
        self._is_closed = True
        self._frames = None
        self._container.close()

    def __del__(self) -> None:
        if hasattr(self, "_container"):
            self.close()


def _by_time(
    frames: Iterator[VideoFrame], position_of: dict[int, int], key: int
) -> Iterator[tuple[int, VideoFrame]]:
    """Give frames their positions; those that come out before the key frame we started from are not whole."""
    for frame in frames:
        position = -1 if frame.pts is None else position_of.get(frame.pts, -1)
        if position >= key:
            yield position, frame
