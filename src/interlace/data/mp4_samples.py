"""How many samples the tables of an MP4 claim, read before FFmpeg does: it takes 37 bytes of memory for each.

A table of equal sizes is one number, and a fragment may repeat its defaults, so a file of 1 kB can claim 170 million.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from interlace.data.reader import VideoError

Box = tuple[bytes, int, int]
"""Type, where its content begins, where it ends."""

_FIRST = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx", b"uuid")
_INSIDE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
_MOST_BOXES = 1_000_000
"""More in a file are not looked at; each has 8 bytes, and FFmpeg reads them one by one."""


def claimed_samples(path: Path) -> int:
    """The samples of all tracks of an MP4 or MOV; 0 for other files.

    Sound without compression has one sample for each of its values, which FFmpeg takes chunk by chunk: not counted.

    Raises:
        VideoError: its tables are compressed, as QuickTime once did.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.mp4_samples import claimed_samples
        >>> claimed_samples(Path("clip.mp4"))  # doctest: +SKIP
        250
    """
    total = 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(4)
        if file.read(4) not in _FIRST:
            return 0
        handler, is_plain = b"", False
        for name, start, _ in _boxes(file, 0, size):
            if name == b"trak":
                handler, is_plain = b"", False
            elif name == b"hdlr":
                handler = _bytes(file, start + 8)
            elif name == b"stts":
                is_plain = _number(file, start + 4) == 1 and _number(file, start + 12) == 1
            elif name == b"stsz":
                total += 0 if is_plain and handler == b"soun" else _number(file, start + 8)
            elif name == b"trun":
                total += _number(file, start + 4)
            elif name == b"cmov":
                raise VideoError(
                    f"{path}: its tables are compressed (cmov), which is not read; convert it to MP4"
                )
    return total


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """All boxes between two places, and those within the ones that hold tables, in their order."""
    waiting = [(start, end)]
    for _ in range(_MOST_BOXES):
        while waiting and waiting[-1][0] + 8 > waiting[-1][1]:
            waiting.pop()
        if not waiting:
            return
        start, end = waiting.pop()
        file.seek(start)
        head = file.read(16)
        size, name, content = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(head[8:16], "big"), start + 16
        stop = end if size == 0 else start + size
        if stop < content or len(head) < 8:
            continue  # damaged: what is behind it cannot be found
        waiting.append((stop, end))
        yield name, content, min(stop, end)
        if name in _INSIDE:
            waiting.append((content, min(stop, end)))


def _number(file: BinaryIO, start: int) -> int:
    return int.from_bytes(_bytes(file, start), "big")


def _bytes(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(4)
