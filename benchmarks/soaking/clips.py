"""Thousands of small real videos, no two the same, and files that are broken in all sorts of ways."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from interlace.data.render import CLASSES, frames

KINDS = (("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("mp4", "mpeg4"), ("avi", "mjpeg"))
SIZES = ((32, 48), (36, 64), (64, 64), (48, 32), (96, 72))
RATES = (2, 10, 12, 15, 25)
"""At 2 frames a second the longest clips have timelines."""
LENGTHS = (3, 5, 9, 14, 45)
NUM_BASES = 50


@dataclass
class Clips:
    """A folder of them."""

    folder: Path
    num_good: int
    broken: dict[str, list[Path]] = field(default_factory=dict)
    """By what is wrong with them."""
    vanishing: list[Path] = field(default_factory=list)
    """Good ones, last in the order: to be removed once they are listed."""

    @property
    def arguments(self) -> list[str]:
        """What to predict: the folder, and what is not found in it."""
        named = (*self.broken["folder named like a video"], *self.broken["link to nothing"])
        return [str(self.folder), *map(str, named)]


def write_clips(folder: Path, num_files: int, *, share_broken: float = 0.05, seed: int = 0) -> Clips:
    """So many files in all, some of them broken, in a folder; the vanishing ones are written anew at each call."""
    folder.mkdir(parents=True, exist_ok=True)
    num_broken = max(len(BROKEN) + 1, round(share_broken * num_files))
    kinds = [*BROKEN, "vanishing"]
    chosen = [kinds[i % len(kinds)] for i in range(num_broken)]
    clips = Clips(folder, num_files - num_broken)
    bases = [_base(folder.parent / "bases", i, seed) for i in range(min(NUM_BASES, clips.num_good))]
    for i in range(clips.num_good):
        _copy(
            bases[i % len(bases)], folder / f"{i % 17:02d}" / f"clip {i:06d}{bases[i % len(bases)].suffix}", i
        )
    for i, kind in enumerate(chosen):
        if kind == "vanishing":
            path = folder / "zz" / f"vanishing {i:06d}.mp4"
            _copy(bases[0], path, num_files + i)
            clips.vanishing.append(path)
            continue
        # A name that is no text, for some.
        name = os.fsdecode(b"br\xf6ken %06d.mp4" % i) if i % 4 == 0 else f"broken {i:06d}.mp4"
        path = folder / f"{i % 17:02d}" / name
        path.parent.mkdir(exist_ok=True)
        if not os.path.lexists(path):
            BROKEN[kind](path, bases[0])
        clips.broken.setdefault(kind, []).append(path)
    return clips


def _base(folder: Path, number: int, seed: int) -> Path:
    suffix, codec = KINDS[number % len(KINDS)]
    path = folder / f"{number:02d}.{suffix}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    height, width = SIZES[number // len(KINDS) % len(SIZES)]
    drawn = frames(CLASSES[number % len(CLASSES)], np.random.default_rng((seed, number)), size=96)
    rate, length = RATES[number % 5], LENGTHS[(number + number // 5) % 5]
    encode(path, [drawn[i % len(drawn), :height, :width] for i in range(length)], codec, rate)
    return path


def encode(path: Path, pictures: list[np.ndarray], codec: str, rate: int) -> None:
    """A video of these pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _copy(base: Path, path: Path, number: int) -> None:
    """The same video with its number behind it, in a piece that players pass over."""
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    told = struct.pack(">Q", number)
    piece = {
        ".mp4": struct.pack(">I4s", 16, b"free") + told,
        ".mkv": b"\xec\x88" + told,
        ".avi": struct.pack("<4sI", b"JUNK", 8) + told,
    }[base.suffix]
    path.write_bytes(base.read_bytes() + piece)


def _truncated(path: Path, base: Path) -> None:
    content = base.read_bytes()
    path.write_bytes(content[: len(content) // 3])


def _noise(path: Path, base: Path) -> None:
    path.write_bytes(np.random.default_rng(len(path.name)).bytes(base.stat().st_size))


def _sound_only(path: Path, base: Path) -> None:
    del base
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


BROKEN: dict[str, Callable[[Path, Path], object]] = {
    "truncated": _truncated,
    "no bytes": lambda path, _base: path.touch(),
    "text": lambda path, _base: path.write_text("this is no video\n" * 40),
    "noise": _noise,
    "sound only": _sound_only,
    "folder named like a video": lambda path, _base: path.mkdir(),
    "link to nothing": lambda path, _base: path.symlink_to("nothing.mp4"),
}
