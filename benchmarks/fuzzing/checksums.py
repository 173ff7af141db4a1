"""Checksums put right after damage, so that a reader looks at the damage and not at the sum."""

from __future__ import annotations

import struct
import zlib


def with_checksums(content: bytes) -> bytes:
    """The same file; PNG's chunks and Ogg's pages have the sums of what they hold now."""
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(bytearray(content))
    return _ogg(bytearray(content)) if content[:4] == b"OggS" and len(content) < 200_000 else content


def _png(content: bytearray) -> bytes:
    start = 8
    while start + 12 <= len(content):
        stop = start + 8 + struct.unpack_from(">I", content, start)[0]
        if stop + 4 > len(content):
            break
        struct.pack_into(">I", content, stop, zlib.crc32(content[start + 4 : stop]))
        start = stop + 4
    return bytes(content)


def _ogg(content: bytearray) -> bytes:
    start = content.find(b"OggS")
    while start >= 0:
        end = content.find(b"OggS", start + 4)
        page = content[start : end if end >= 0 else len(content)]
        if len(page) >= 27:
            page[22:26] = bytes(4)
            struct.pack_into("<I", content, start + 22, _ogg_sum(page))
        start = end
    return bytes(content)


def _table() -> list[int]:
    rows = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        rows.append(value & 0xFFFFFFFF)
    return rows


TABLE = _table()


def _ogg_sum(page: bytearray) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ TABLE[value >> 24 ^ byte]
    return value
