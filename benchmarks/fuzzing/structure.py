"""Where the parts of a file lie: boxes of MP4, elements of Matroska, chunks of RIFF and PNG, packets, pages."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Part(NamedTuple):
    """A stretch of the file that means one thing."""

    start: int
    end: int
    size_at: int | None = None
    """Where its size stands in four bytes, if it does."""
    size_order: str = ">"
    """Of those bytes, as `struct` calls it."""


MOST_PARTS = 4000
BOXES = (
    *(
        b"moov",
        b"trak",
        b"mdia",
        b"minf",
        b"stbl",
        b"edts",
        b"udta",
        b"moof",
        b"traf",
        b"mvex",
        b"dinf",
        b"mfra",
    ),
    b"ilst",
)
"""Boxes that consist of boxes."""
ELEMENTS = (
    *(
        0x1A45DFA3,
        0x18538067,
        0x1549A966,
        0x1654AE6B,
        0xAE,
        0xE0,
        0xE1,
        0x1F43B675,
        0xA0,
        0x1C53BB6B,
        0xBB,
        0xB7,
    ),
    *(0x114D9B74, 0x4DBB),
)
"""Elements of Matroska that consist of elements."""
MARKS = re.compile(rb"OggS|\x00\x00\x01[\xb0-\xef]|FLV\x01|\xff[\xc0-\xfe]|GIF8|\x21[\xf9\xff\xfe]|\x2c")
"""How parts begin in formats without a tree: Ogg, MPEG, JPEG, GIF."""


def parts_of(content: bytes) -> list[Part]:
    """The parts, those within each other as well; none where the format is not known."""
    found = []
    for part in _parts(content):
        found.append(part)
        if len(found) == MOST_PARTS:
            break
    return found


def _parts(content: bytes) -> Iterator[Part]:
    if content[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide"):
        yield from _boxes(content, 0, len(content))
    elif content[:4] == b"\x1a\x45\xdf\xa3":
        yield from _elements(content, 0, len(content))
    elif content[:4] == b"RIFF":
        yield from _chunks(content, 0, len(content))
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        yield from _png_chunks(content)
    elif content[:1] == b"G" and content[188:189] == b"G":
        yield from (Part(start, min(start + 188, len(content))) for start in range(0, len(content), 188))
    elif content[:16] == bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"):
        yield from _asf_objects(content)
    elif content[8:9] == b"{" and len(content) > 9:
        yield Part(0, 8)
        yield Part(8, min(len(content), 8 + int.from_bytes(content[:8], "little")))
    else:
        starts = [match.start() for _, match in zip(range(MOST_PARTS), MARKS.finditer(content), strict=False)]
        yield from (Part(start, end) for start, end in pairwise([*starts, len(content)]))


def _boxes(content: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        size = struct.unpack_from(">I", content, start)[0]
        stop = min(end, start + max(8, size or end))
        yield Part(start, stop, start)
        if content[start + 4 : start + 8] in BOXES:
            yield from _boxes(content, start + 8, stop)
        elif content[start + 4 : start + 8] in (b"stsd", b"dref"):
            yield from _boxes(content, start + 16, stop)
        start = stop


def _elements(content: bytes, start: int, end: int) -> Iterator[Part]:
    while start < end:
        name, after_name = _number(content, start, keep_marker=True)
        size, body = _number(content, after_name, keep_marker=False)
        if not name:
            return
        unknown = size == 2 ** (7 * (body - after_name)) - 1
        stop = end if unknown else min(end, body + size)
        yield Part(start, stop)
        if name in ELEMENTS:
            yield from _elements(content, body, stop)
        start = max(stop, start + 1)


def _number(content: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of EBML, whose first byte tells its length, and where it ends."""
    first = content[at] if at < len(content) else 0
    length = 9 - first.bit_length()
    number = int.from_bytes(content[at : at + length], "big")
    return number if keep_marker else number & (2 ** (7 * length) - 1), at + length


def _chunks(content: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        size = struct.unpack_from("<I", content, start + 4)[0]
        stop = min(end, start + 8 + size + size % 2)
        yield Part(start, stop, start + 4, "<")
        if content[start : start + 4] in (b"RIFF", b"LIST"):
            yield from _chunks(content, start + 12, stop)
        start = stop


def _png_chunks(content: bytes) -> Iterator[Part]:
    start = 8
    while start + 12 <= len(content):
        stop = min(len(content), start + 12 + struct.unpack_from(">I", content, start)[0])
        yield Part(start, stop)
        start = stop


def _asf_objects(content: bytes) -> Iterator[Part]:
    start = 30  # the header object's own head: 16 bytes of name, 8 of size, a count, two reserved
    while start + 24 <= len(content):
        stop = min(len(content), start + max(24, struct.unpack_from("<Q", content, start + 16)[0]))
        yield Part(start, stop)
        start = stop
