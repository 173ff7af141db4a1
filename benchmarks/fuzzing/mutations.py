"""Damage to bytes: where it strikes follows the file's own structure half of the time."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from fuzzing.checksums import with_checksums
from fuzzing.structure import Part, parts_of

LARGEST = 8 << 20
"""Bytes of a mutated file; repeats stop there."""
NEAR = 64
"""Bytes at the front of a part in which its fields are."""
NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    127,
    128,
    255,
    256,
    1000,
    32767,
    32768,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
NUMBERS_64 = (*NUMBERS, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


class Bytes:
    """One file on its way to being damaged."""

    def __init__(self, content: bytes, other: bytes, rng: random.Random) -> None:
        self.content = bytearray(content)
        self.other = other
        self.rng = rng
        self.parts = parts_of(content)
        self.steps: list[str] = []

    def place(self) -> tuple[int, int]:
        """A stretch to strike at: the fields of a part, the front of the file, or anywhere."""
        size = len(self.content)
        lot = self.rng.random()
        if self.parts and lot < 0.55:
            part = self.rng.choice(self.parts)
            return min(part.start, size), min(part.start + NEAR, part.end, size)
        return (0, min(size, 512)) if lot < 0.75 else (0, size)

    def position(self) -> int:
        """One byte of such a stretch."""
        start, end = self.place()
        return self.rng.randrange(start, max(start + 1, end))

    def stretch(self) -> tuple[int, int]:
        """From one byte to another; mostly short."""
        start = self.position()
        return start, min(len(self.content), start + 2 ** self.rng.randrange(14))

    def part(self) -> tuple[int, int]:
        """A whole part of the format, or a stretch where none is known."""
        if not self.parts:
            return self.stretch()
        part = self.rng.choice(self.parts)
        return part.start, min(part.end, len(self.content))


def flip(file: Bytes) -> None:
    """Single bits."""
    for _ in range(file.rng.choice((1, 1, 2, 8, 64))):
        position = file.position()
        if position < len(file.content):
            file.content[position] ^= 1 << file.rng.randrange(8)


def write_number(file: Bytes) -> None:
    """A number that is at the edge of its type, in place of another."""
    size = file.rng.choice((1, 2, 4, 4, 8))
    number = file.rng.choice(NUMBERS_64) & (256**size - 1)
    position = file.position()
    file.content[position : position + size] = number.to_bytes(size, file.rng.choice(("big", "little")))


def add_to_number(file: Bytes) -> None:
    """A length or a count that is off by a little."""
    position, order = file.position(), file.rng.choice((">I", "<I"))
    if position + 4 <= len(file.content):
        number = struct.unpack_from(order, file.content, position)[0] + file.rng.randrange(-16, 17)
        struct.pack_into(order, file.content, position, number % 2**32)


def overwrite(file: Bytes) -> None:
    """A stretch of noise, zeros or ones."""
    start, end = file.stretch()
    noise = (file.rng.randbytes(end - start), bytes(end - start), b"\xff" * (end - start))
    file.content[start:end] = file.rng.choice(noise)


def truncate(file: Bytes) -> None:
    """The end is missing."""
    del file.content[file.position() :]


def delete(file: Bytes) -> None:
    """A part is missing."""
    start, end = file.part()
    _replace(file, start, end, b"")


def repeat(file: Bytes) -> None:
    """A part comes several times."""
    start, end = file.part()
    times = min(file.rng.choice((2, 3, 50)), max(1, (LARGEST - len(file.content)) // max(1, end - start)))
    _replace(file, start, end, bytes(file.content[start:end]) * times)


def move(file: Bytes) -> None:
    """A part stands elsewhere."""
    start, end = file.part()
    part = bytes(file.content[start:end])
    del file.content[start:end]
    to = file.position() if file.content else 0
    file.content[to:to] = part


def splice(file: Bytes) -> None:
    """The front of this file, the end of another one, or a piece of that in the middle of this."""
    start = file.position()
    if not file.other:
        return
    begin = file.rng.randrange(len(file.other))
    if file.rng.random() < 0.5:
        file.content[start:] = file.other[begin:]
    else:
        size = 2 ** file.rng.randrange(12)
        file.content[start : start + size] = file.other[begin : begin + size]


def exchange(file: Bytes) -> None:
    """A part of this file is replaced by a part of another one."""
    others = parts_of(file.other)
    if not others or not file.parts:
        return splice(file)
    part = file.rng.choice(others)
    _replace(file, *file.part(), file.other[part.start : part.end])
    return None


WAYS: tuple[Callable[[Bytes], None], ...] = (
    *(flip, flip, write_number, write_number, write_number, add_to_number, overwrite, truncate),
    *(delete, repeat, move, splice, exchange),
)


def mutated(
    content: bytes, other: bytes, rng: random.Random, *, steps: int | None = None
) -> tuple[bytes, list[str]]:
    """The file after one to four kinds of damage, and their names; checksums are mostly put right."""
    file = Bytes(content, other, rng)
    for _ in range(steps or rng.choice((1, 1, 1, 2, 2, 4))):
        way = rng.choice(WAYS)
        way(file)
        file.steps.append(way.__name__)
        del file.content[LARGEST:]
    after = bytes(file.content)
    if rng.random() < 0.8:
        after = with_checksums(after)
    return after, file.steps


def _replace(file: Bytes, start: int, end: int, content: bytes) -> None:
    """Put other bytes in place of a part; the sizes of the parts around it are mostly put right."""
    if file.rng.random() < 0.7:
        around = [part for part in file.parts if part.start <= start and end <= part.end and part.size_at]
        for part in around:
            if (part.start, part.end) != (start, end):
                _grow(file, part, len(content) - (end - start))
    file.content[start:end] = content


def _grow(file: Bytes, part: Part, by: int) -> None:
    order = f"{part.size_order}I"
    if part.size_at is not None and part.size_at + 4 <= len(file.content):
        size = struct.unpack_from(order, file.content, part.size_at)[0]
        struct.pack_into(order, file.content, part.size_at, (size + by) % 2**32)
