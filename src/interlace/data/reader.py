"""What every open video can do, whatever holds its frames; the policy for frames that cannot be decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.data.reduce import reduce, reduced_size

Color = Literal["rgb", "gray"]
OnError = Literal["raise", "skip"]


class VideoError(ValueError):
    """A video cannot be read; the message is ``PATH: reason; remedy``."""


class VideoReader(ABC):
    """One open video: its length, its timestamps, and its frames by position. A context manager.

    Frames count from 0 in the order in which they are shown. Use one reader in one thread.
    """

    path: Path
    num_frames: int
    fps: float
    """Average rate: frames shown a second."""
    duration_seconds: float
    """From the first frame's start to the last frame's end."""
    pts_seconds: Float64[Tensor, " num_frames"]
    """When each frame is shown; the first at 0."""
    is_damaged: bool
    """True once damage was met; reading frames, or looking for damaged ones, may find it."""
    notes: list[str]
    """What is odd about the video, one sentence each; frames that are read may add to it."""

    def __init__(self, path: Path, color: Color, on_error: OnError, short_side: int | None = None) -> None:
        for name, value, choices in (
            ("color", color, ("rgb", "gray")),
            ("on_error", on_error, ("raise", "skip")),
        ):
            if value not in choices:
                raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}")
        if short_side is not None and short_side < 1:
            raise ValueError(f"short_side={short_side} leaves no pixel; give 1 or more, or None")
        self.path = path
        self.color = color
        self.on_error = on_error
        self.short_side = short_side
        self.num_channels = 3 if color == "rgb" else 1
        self.notes = []
        self.is_damaged = False
        self._damage_notes: list[str] = []
        self._blank: list[int] | None = None

    @property
    @abstractmethod
    def height(self) -> int:
        """Rows of the upright frame."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Columns of the upright frame."""

    @abstractmethod
    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        """The pictures at these sorted positions; those that cannot be decoded are left out."""

    @abstractmethod
    def _find_blank(self) -> list[int]:
        """Decode everything, keep nothing; the sorted positions that give no picture."""

    @abstractmethod
    def _blank_is_damage(self) -> bool:
        """False if the format may say "as before" instead of holding a picture, and nothing went wrong."""

    @abstractmethod
    def _reason(self, position: int) -> str:
        """Why the frame at this position could not be decoded."""

    @abstractmethod
    def close(self) -> None:
        """Free the file; reading afterwards is an error."""

    def frames_at(self, indices: Sequence[int]) -> UInt8[Tensor, "T C H W"]:
        """Decode the frames at these positions, in the order given; repeats are allowed.

        Returns uint8 frames, upright, C = 3 (``color="rgb"``), 1 (``color="gray"``) or those of another modality,
        stored channels last, with the shorter side brought down to ``short_side`` where one was given.

        Raises:
            VideoError: a position lies outside the video; or a frame cannot be decoded and ``on_error`` is
                ``"raise"`` (with ``"skip"`` the nearest decodable frame stands in, and ``notes`` tells).
        """
        for index in indices:
            if not 0 <= index < self.num_frames:
                raise VideoError(
                    f"{self.path}: there is no frame {index}; ask for frames 0 to {self.num_frames - 1}"
                )
        wanted = sorted(set(indices))
        pictures = self._read(wanted)
        missing = [position for position in wanted if position not in pictures]
        if missing:
            pictures |= self._stand_ins(missing)
        if not wanted:
            size = reduced_size(self.height, self.width, self.short_side)
            return torch.empty(0, self.num_channels, *size, dtype=torch.uint8)
        pictures = {index: reduce(picture, self.short_side) for index, picture in pictures.items()}
        frames = np.stack([pictures[index] for index in indices])
        return torch.from_numpy(frames).permute(0, 3, 1, 2)  # (T, H, W, C) -> (T, C, H, W)

    def damaged_frames(self) -> list[int]:
        """Decode the whole video, keeping nothing; the positions that hold no decodable picture."""
        if self._blank is None:
            self._blank = self._find_blank()
            if self._blank and self._blank_is_damage():
                self._note_damage(self._blank_note())
            elif self._blank:
                self.notes.append(self._blank_note())
        return self._blank if self._blank_is_damage() else []

    @property
    def damage(self) -> str:
        """What of the damage was met so far; empty if there was none."""
        if self._damage_notes or not self.is_damaged:
            return "; ".join(self._damage_notes)
        return "its data are damaged, though each frame that was read gave a picture"

    def _note_damage(self, note: str) -> None:
        self.is_damaged = True
        if note not in self.notes:
            self.notes.append(note)
            self._damage_notes.append(note)

    def _tell_of(self, part: VideoReader) -> None:
        """Take over what the reader of a part of this video has met."""
        for note in part._damage_notes:
            self._note_damage(note)
        self.is_damaged = self.is_damaged or part.is_damaged
        self.notes += [note for note in part.notes if note not in self.notes]

    def _stand_ins(self, missing: list[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        """Pictures for positions that gave none."""
        damaged = self.damaged_frames()
        if damaged and self.on_error == "raise":
            raise VideoError(
                f"{self.path}: frame {missing[0]} of {self.num_frames} cannot be decoded "
                f'({self._reason(missing[0])}); replace the file, or read it with on_error="skip" '
                "to let the nearest decodable frame stand in"
            )
        blank = {*(self._blank or ()), *missing}
        decodable = [position for position in range(self.num_frames) if position not in blank]
        if not decodable:
            raise VideoError(
                f"{self.path}: none of its {self.num_frames} frames can be decoded "
                f"({self._reason(missing[0])}); replace the file"
            )
        choose = _nearest if damaged else _last_before
        stand_in = {position: choose(decodable, position) for position in missing}
        pictures = self._read(sorted(set(stand_in.values())))
        return {position: pictures[source] for position, source in stand_in.items()}

    def _blank_note(self) -> str:
        blank = self._blank or []
        count = f"{len(blank)} of {self.num_frames} frames"
        first = ", ".join(str(position) for position in blank[:5]) + (", ..." if len(blank) > 5 else "")
        if self._blank_is_damage():
            return f"{count} damaged ({first}): the nearest decodable one is used"
        return f"{count} hold no picture ({first}): the one before is shown on"

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.num_frames

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {self.num_frames} frames, {self.fps:.3g} fps)"


def _nearest(positions: list[int], target: int) -> int:
    """The member of a sorted list that is nearest to the target; the earlier one on a tie."""
    right = bisect_left(positions, target)
    around = positions[max(0, right - 1) : right + 1]
    return min(around, key=lambda position: (abs(position - target), position))


def _last_before(positions: list[int], target: int) -> int:
    """The last member of a sorted list before the target; the first one if there is none."""
    return positions[max(0, bisect_left(positions, target) - 1)]
