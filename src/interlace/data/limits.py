"""How large a file may claim to be: what is above is refused before memory or time is spent on it.

The defaults are above what cameras and data sets have; each is raised by a variable of the environment, which workers
inherit. docs/security.md has the table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limit:
    """One number that a file of a stranger does not decide."""

    variable: str
    """Of the environment, which overrides the default."""
    default: int
    what: str
    """What is counted."""

    @property
    def value(self) -> int:
        """The limit that holds now.

        Raises:
            ValueError: the variable is set to something else than a whole number above zero.
        """
        text = os.environ.get(self.variable, "")
        if not text:
            return self.default
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text) > 0):
            raise ValueError(
                f"{self.variable}={text!r} is no limit; set it to a whole number above zero, or unset it"
            )
        return int(text)

    def check(self, path: Path | str, found: float | int, error: type[ValueError]) -> None:
        """Raise ``error`` if a file has, or asks for, more than the limit.

        Example:
            >>> from interlace.data.limits import FRAMES
            >>> FRAMES.check("clip.mp4", 10**9, ValueError)
            Traceback (most recent call last):
            ValueError: clip.mp4: 1000000000 frames; at most 2160000 are read, as a file that claims more may be ...
        """
        if found > self.value:
            raise error(
                f"{path}: {found:.0f} {self.what}; at most {self.value} are read, as a file that claims more may be "
                f"made to exhaust the memory; if you trust it, set the environment variable {self.variable} higher"
            )


PIXELS = Limit("INTERLACE_MAX_PIXELS", 8192 * 8192, "pixels in a frame")
"""Twice 8K video; 200 MB as RGB."""
FRAMES = Limit("INTERLACE_MAX_FRAMES", 2_160_000, "frames")
"""A day at 25 frames a second. Also pictures of a folder."""
SECONDS = Limit("INTERLACE_MAX_SECONDS", 90_000, "seconds of video")
"""A day and an hour."""
SOUND_SECONDS = Limit("INTERLACE_MAX_SOUND_SECONDS", 14_400, "seconds of sound")
"""Four hours: these are held in memory, 64 kB a second at 16 kHz."""
TEXT_BYTES = Limit("INTERLACE_MAX_TEXT_BYTES", 128 * 2**20, "bytes of text")
"""Of an annotation file; the lists of Kinetics-700 and Something-Something have 30 million."""
DEPTH = Limit("INTERLACE_MAX_DEPTH", 64, "folders within each other")
"""Below the folder that is searched for videos."""

LIMITS = (PIXELS, FRAMES, SECONDS, SOUND_SECONDS, TEXT_BYTES, DEPTH)


def check_text(file: Path, error: type[ValueError]) -> None:
    """Raise ``error`` if a file of text is longer than the limit, or a pipe or device, which need not end.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.limits import check_text
        >>> check_text(Path("/dev/zero"), ValueError)
        Traceback (most recent call last):
        ValueError: /dev/zero: a pipe or a device, not a file; save its text as a file and give that
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        raise error(f"{file}: a pipe or a device, not a file; save its text as a file and give that")
    if file.is_file():
        TEXT_BYTES.check(file, file.stat().st_size, error)


# No playlists (HLS, DASH, concat, sdp): they name further files, and addresses, that would be read as well.
_CONTAINERS = (
    *(
        "mov",
        "matroska",
        "avi",
        "mpeg",
        "mpegts",
        "mpegvideo",
        "flv",
        "live_flv",
        "ogg",
        "asf",
        "gif",
        "apng",
    ),
    *(
        "h264",
        "hevc",
        "av1",
        "obu",
        "ivf",
        "mjpeg",
        "m4v",
        "h263",
        "vc1",
        "dv",
        "mxf",
        "nut",
        "rm",
        "wtv",
        "amv",
    ),
    *("yuv4mpegpipe", "png_pipe", "jpeg_pipe", "bmp_pipe", "webp_pipe"),
    *("wav", "mp3", "flac", "aac", "aiff"),  # sound alone: that is told
)


def opening_options() -> Mapping[str, str]:
    """What FFmpeg is told when it opens a local file: its limits, and to read that file alone.

    Example:
        >>> from interlace.data.limits import opening_options
        >>> opening_options()["protocol_whitelist"]
        'file,pipe'
    """
    return {
        **decoding_options(),
        "format_whitelist": ",".join(_CONTAINERS),
        "protocol_whitelist": "file,pipe",
    }


def decoding_options() -> Mapping[str, str]:
    """What a decoder is told: a stream may grow beyond the size in the file's header.

    Example:
        >>> from interlace.data.limits import decoding_options
        >>> dict(decoding_options())
        {'max_pixels': '67108864'}
    """
    return {"max_pixels": str(min(PIXELS.value, 2**31 - 1))}
